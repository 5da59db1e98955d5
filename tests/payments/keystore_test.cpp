// SPDX-License-Identifier: MIT
#include "payments/keystore.hpp"

#include <cstdlib>
#include <fstream>

#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lp::payments {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

struct keystore : testing::Test {
  keystore() {
    std::string pattern = (fs::temp_directory_path() / "lp-keys-XXXXXX").string();
    folder = ::mkdtemp(pattern.data());
  }
  ~keystore() override { fs::remove_all(folder); }

  fs::path write(const std::string& name, const std::string& text, mode_t mode = 0600) const {
    std::ofstream(folder / name, std::ios::binary) << text;
    ::chmod((folder / name).c_str(), mode);
    return folder / name;
  }

  fs::path folder;
};

// pbkdf2: the test vector of the Web3 Secret Storage Definition. scrypt: the same key, written by
// Foundry's cast 1.7.1. (The definition's own vector for scrypt has r = 1 with n = 2^18, which RFC
// 7914 and OpenSSL do not allow; no wallet writes that.)
constexpr const char* secret_of_vectors =
    "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";
constexpr const char* pbkdf2_vector = R"({
  "crypto": {
    "cipher": "aes-128-ctr",
    "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
    "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
    "kdf": "pbkdf2",
    "kdfparams": {"c": 262144, "dklen": 32, "prf": "hmac-sha256",
      "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
    "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},
  "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6", "version": 3})";
constexpr const char* scrypt_vector = R"({
  "crypto": {
    "cipher": "aes-128-ctr",
    "cipherparams": {"iv": "7f54029776a6880f282edd5e6e861d22"},
    "ciphertext": "00b6214562adee9d5a0d6fc2e58dea5ca5eeb7e1abdcb3c9ad75b629d352b3f1",
    "kdf": "scrypt",
    "kdfparams": {"dklen": 32, "n": 8192, "p": 1, "r": 8,
      "salt": "fecf3e11025cacabdce838916dee946700d14b82a3622e910e958b3bc2d50de6"},
    "mac": "a593f91a86c14279b68e07d8ec44e879e037fdfb88372756d33543ed228e4324"},
  "id": "ce5c0cf0-e5a9-48fe-bdea-8c678b27d4a5", "version": 3})";

std::string changed(std::string text, std::string_view from, std::string_view to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST_F(keystore, opens_the_files_of_the_definition) {
  for (const char* file : {pbkdf2_vector, scrypt_vector}) {
    const auto key = decrypt_key(file, passphrase("testpassword"), "vector");
    ASSERT_TRUE(key) << render(key.error());
    EXPECT_EQ(to_hex(key->secret()), secret_of_vectors);
  }
}

TEST_F(keystore, a_key_comes_back_with_its_passphrase_alone) {
  const private_key key = private_key::generate();
  const auto file = store_key(folder / "new", key, passphrase("a good one"), scrypt_cost::light());
  ASSERT_TRUE(file) << render(file.error());
  struct stat s {};
  ASSERT_EQ(::stat(file->c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 0777U, 0600U);
  ASSERT_EQ(::stat((folder / "new").c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 0777U, 0700U);
  const auto back = load_key(*file, passphrase("a good one"));
  ASSERT_TRUE(back) << render(back.error());
  EXPECT_EQ(back->address(), key.address());
  const auto wrong = load_key(*file, passphrase("a good one "));
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ec::unauthorized);
  std::ifstream in(*file);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  EXPECT_THAT(text, Not(HasSubstr(to_hex(key.secret()))));
}

TEST_F(keystore, lists_its_files_by_address) {
  EXPECT_TRUE(list_keys(folder / "missing").value().empty());
  const private_key key = private_key::generate();
  ASSERT_TRUE(store_key(folder, key, passphrase("x"), scrypt_cost::light()));
  write("notes.txt", "not a key");
  write("other.json", R"({"address": 7})");
  const auto found = list_keys(folder);
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->front().address, key.address());
}

TEST_F(keystore, refuses_a_file_that_others_may_read) {
  const auto file = write("open.json", scrypt_vector, 0644);
  const auto key = load_key(file, passphrase("testpassword"));
  ASSERT_FALSE(key);
  EXPECT_THAT(key.error().message, HasSubstr("0600"));
}

TEST_F(keystore, names_what_is_wrong_with_a_file) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "JSON"},
      {"[]", "JSON"},
      {"{}", "version"},
      {changed(scrypt_vector, "\"version\": 3", "\"version\": 2"), "version"},
      {changed(scrypt_vector, "aes-128-ctr", "aes-256-cbc"), "cipher"},
      {changed(scrypt_vector, "\"kdf\": \"scrypt\"", "\"kdf\": \"argon2\""), "kdf"},
      {changed(scrypt_vector, "\"n\": 8192", "\"n\": 1073741824"), "1 GiB"},
      {changed(scrypt_vector, "\"n\": 8192", "\"n\": 8191"), "power of two"},
      {changed(scrypt_vector, "\"n\": 8192", "\"n\": -1"), "\"n\""},
      {changed(scrypt_vector, "\"n\": 8192, \"p\": 1, \"r\": 8",
               "\"n\": 65536, \"p\": 1, \"r\": 1"),
       "where r is 1"},
      {changed(scrypt_vector, "\"dklen\": 32", "\"dklen\": 16"), "dklen"},
      {changed(scrypt_vector, "7f540297", "7f5402"), "iv"},
      {changed(scrypt_vector, "7f540297", "7f5402xx"), "iv"},
      {changed(pbkdf2_vector, "hmac-sha256", "hmac-sha1"), "prf"},
      {changed(pbkdf2_vector, "\"c\": 262144", "\"c\": 0"), "\"c\""},
  };
  for (const auto& [text, expected] : cases) {
    const auto key = decrypt_key(text, passphrase("testpassword"), "key.json");
    ASSERT_FALSE(key) << text;
    EXPECT_EQ(key.error().code, ec::bad_file);
    EXPECT_THAT(key.error().message, HasSubstr("key.json"));
    EXPECT_THAT(key.error().message, HasSubstr(expected));
  }
}

TEST_F(keystore, a_passphrase_comes_from_a_file_or_the_environment) {
  const auto file = write("passphrase", "first line\nsecond line\n");
  EXPECT_EQ(read_passphrase({file, "LP_TEST_PASSPHRASE", "", false}).value().view(), "first line");
  ::setenv("LP_TEST_PASSPHRASE", "from outside", 1);
  EXPECT_EQ(read_passphrase({"", "LP_TEST_PASSPHRASE", "", false}).value().view(), "from outside");
  ::unsetenv("LP_TEST_PASSPHRASE");
  const auto none = read_passphrase({"", "LP_TEST_PASSPHRASE", "", false});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ec::unauthorized);
  EXPECT_EQ(read_passphrase({folder / "missing", "", "", false}).error().code, ec::bad_file);
}

TEST_F(keystore, an_empty_passphrase_is_refused) {
  for (const char* text : {"", "\n", "\r\nsecond"}) {
    const auto file = write("empty", text);
    const auto empty = read_passphrase({file, "", "", false});
    ASSERT_FALSE(empty);
    EXPECT_THAT(empty.error().message, HasSubstr(file.string() + ": the first line: expected"));
    EXPECT_EQ(read_passphrase({file, "", "", false, true}).value().view(), "");
  }
  ::setenv("LP_TEST_PASSPHRASE", "", 1);
  EXPECT_FALSE(read_passphrase({"", "LP_TEST_PASSPHRASE", "", false}));
  ::unsetenv("LP_TEST_PASSPHRASE");
}

TEST_F(keystore, a_folder_that_was_there_keeps_its_mode) {
  ::chmod(folder.c_str(), 0755);
  ASSERT_TRUE(store_key(folder, private_key::generate(), passphrase("x"), scrypt_cost::light()));
  ASSERT_TRUE(store_key(folder / "a" / "b", private_key::generate(), passphrase("x"),
                        scrypt_cost::light()));
  struct stat s {};
  ASSERT_EQ(::stat(folder.c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 0777U, 0755U);
  for (const char* made : {"a", "a/b"}) {
    ASSERT_EQ(::stat((folder / made).c_str(), &s), 0);
    EXPECT_EQ(s.st_mode & 0777U, 0700U) << made;
  }
}

TEST_F(keystore, refuses_a_file_that_names_the_address_of_another_key) {
  const auto text =
      changed(scrypt_vector, "{\n  \"crypto\"",
              "{\"address\": \"f39fd6e51aad88f6f4ce6ab8827279cfffb92266\", \"crypto\"");
  const auto key = decrypt_key(text, passphrase("testpassword"), "key.json");
  ASSERT_FALSE(key);
  EXPECT_THAT(key.error().message, HasSubstr("\"address\""));
}

}  // namespace
}  // namespace lp::payments
