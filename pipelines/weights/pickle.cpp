// SPDX-License-Identifier: MIT
// The instructions are those of Python's pickletools.py, protocols 0 to 5 as far as PyTorch uses
// them.
#include "pipelines/weights/pickle.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <utility>

#include <fmt/format.h>

namespace lp::pipelines {

namespace {

constexpr std::size_t most_instructions = 4'000'000;
constexpr std::size_t deepest = 64;
constexpr std::size_t most_entries = 1'000'000;

struct value;
using handle = value*;  ///< into the machine's own store: no cycle leaks, no depth overflows

struct value {
  enum class kind { none, integer, text, list, dict, global, storage, tensor, dead };
  kind is = kind::none;
  std::int64_t number = 0;
  std::string text;           ///< of text; "module name" of a global
  std::vector<handle> items;  ///< of lists and tuples; of dicts key, value, key, value, ...
  pickled_tensor tensor;
};

struct malformed {
  std::string why;
};

/// Modules whose functions no weights need.
bool is_harmful(std::string_view global) {
  static constexpr std::array<std::string_view, 22> modules = {
      "os",     "posix",  "nt",        "subprocess", "sys", "builtins", "__builtin__",
      "runpy",  "shutil", "importlib", "socket",     "pty", "commands", "code",
      "timeit", "pickle", "ctypes",    "webbrowser", "bdb", "asyncio",  "multiprocessing",
      "pip"};
  const auto module = global.substr(0, global.find_first_of(" ."));
  static constexpr std::array<std::string_view, 12> data = {
      "set",   "frozenset", "list",  "dict", "tuple", "int",
      "float", "str",       "bytes", "bool", "slice", "complex"};
  if (std::find(modules.begin(), modules.end(), module) == modules.end()) return false;
  const auto name = global.substr(global.find(' ') + 1);
  const bool builtin = module == "builtins" || module == "__builtin__";
  return !builtin || std::find(data.begin(), data.end(), name) == data.end();
}

std::int64_t integer_of(const value* v) {
  if (v->is != value::kind::integer) throw malformed{"expected an integer"};
  return v->number;
}

std::vector<std::int64_t> integers_of(const value* v) {
  if (v->is != value::kind::list) throw malformed{"expected a tuple of integers"};
  std::vector<std::int64_t> out;
  for (const auto* item : v->items) out.push_back(integer_of(item));
  return out;
}

class machine {
 public:
  explicit machine(std::string_view code) : code_(code) {}

  /// Stays valid as long as the machine.
  const value& run() {
    for (std::size_t n = 0; n < most_instructions; ++n) {
      const auto op = static_cast<unsigned char>(byte());
      if (op == '.') return *pop();
      if (!constant(op) && !container(op) && !memo(op) && !call(op))
        throw malformed{fmt::format("instruction 0x{:02x} is not known", op)};
    }
    throw malformed{"it does not end"};
  }

 private:
  handle make(value::kind is) {
    auto& v = store_.emplace_back();
    v.is = is;
    return &v;
  }
  handle number(std::int64_t n) {
    auto* v = make(value::kind::integer);
    v->number = n;
    return v;
  }
  handle words(std::string_view text) {
    auto* v = make(value::kind::text);
    v->text = text;
    return v;
  }

  char byte() { return take(1)[0]; }
  std::string_view take(std::size_t n) {
    if (n > code_.size() - at_) throw malformed{"it is cut off"};
    at_ += n;
    return code_.substr(at_ - n, n);
  }
  std::uint64_t little(std::size_t n) {
    std::uint64_t out = 0;
    const auto bytes = take(n);
    for (std::size_t i = n; i-- > 0;) out = out << 8 | static_cast<unsigned char>(bytes[i]);
    return out;
  }
  std::string_view line() {
    const auto end = code_.find('\n', at_);
    if (end == code_.npos) throw malformed{"it is cut off"};
    const auto out = code_.substr(at_, end - at_);
    at_ = end + 1;
    return out;
  }

  void push(handle v) { stack_.push_back(v); }
  handle pop() {
    const auto floor = marks_.empty() ? 0 : marks_.back();
    if (stack_.size() <= floor) throw malformed{"its stack runs empty"};
    auto* v = stack_.back();
    stack_.pop_back();
    return v;
  }
  handle top() {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back()))
      throw malformed{"its stack runs empty"};
    return stack_.back();
  }
  std::vector<handle> pop_to_mark() {
    if (marks_.empty()) throw malformed{"a mark is missing"};
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<handle> out(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return out;
  }

  bool constant(unsigned char op) {
    switch (op) {
      case 0x80:  // PROTO
        take(1);
        return true;
      case 0x95:  // FRAME
        take(8);
        return true;
      case 'N':
        push(make(value::kind::none));
        return true;
      case 0x88:  // NEWTRUE
      case 0x89:  // NEWFALSE
        push(number(op == 0x88 ? 1 : 0));
        return true;
      case 'K':
        push(number(static_cast<std::int64_t>(little(1))));
        return true;
      case 'M':
        push(number(static_cast<std::int64_t>(little(2))));
        return true;
      case 'J':
        push(number(static_cast<std::int32_t>(little(4))));
        return true;
      case 0x8a: {  // LONG1
        const auto n = little(1);
        if (n > 8) {
          take(n);
          push(make(value::kind::dead));
          return true;
        }
        auto bits = n == 0 ? 0 : little(n);
        if (n > 0 && n < 8 && (bits >> (8 * n - 1) & 1) != 0) bits |= ~std::uint64_t{0} << (8 * n);
        push(number(static_cast<std::int64_t>(bits)));
        return true;
      }
      case 'G':  // BINFLOAT
        take(8);
        push(make(value::kind::dead));
        return true;
      case 'I':
      case 'L':
      case 'F':
        line();
        push(make(value::kind::dead));
        return true;
      default:
        return string(op);
    }
  }

  bool string(unsigned char op) {
    switch (op) {
      case 'X':  // BINUNICODE
      case 'T':  // BINSTRING
      case 'B':  // BINBYTES
        push(words(take(little(4))));
        return true;
      case 0x8c:  // SHORT_BINUNICODE
      case 'U':   // SHORT_BINSTRING
      case 'C':   // SHORT_BINBYTES
        push(words(take(little(1))));
        return true;
      case 0x8d:  // BINUNICODE8
      case 0x8e:  // BINBYTES8
      case 0x96:  // BYTEARRAY8
        push(words(take(little(8))));
        return true;
      case 'V':
      case 'S':
        push(words(line()));
        return true;
      default:
        return false;
    }
  }

  bool container(unsigned char op) {
    switch (op) {
      case '(':
        marks_.push_back(stack_.size());
        return true;
      case ']':
      case ')':
      case 0x8f:  // EMPTY_SET
        push(make(value::kind::list));
        return true;
      case '}':
        push(make(value::kind::dict));
        return true;
      case 't':    // TUPLE
      case 'l':    // LIST
      case 0x91:   // FROZENSET
      case 'd': {  // DICT
        auto* v = make(op == 'd' ? value::kind::dict : value::kind::list);
        v->items = pop_to_mark();
        push(v);
        return true;
      }
      case 0x85:
      case 0x86:
      case 0x87: {  // TUPLE1 to TUPLE3
        auto* v = make(value::kind::list);
        for (int n = op - 0x84; n > 0; --n) v->items.insert(v->items.begin(), pop());
        push(v);
        return true;
      }
      case 'a': {
        auto* const item = pop();
        append(top(), {item});
        return true;
      }
      case 'e':
      case 0x90: {  // APPENDS, ADDITEMS
        const auto items = pop_to_mark();
        append(top(), items);
        return true;
      }
      case 's': {
        auto* const item = pop();
        auto* const key = pop();
        append(top(), {key, item});
        return true;
      }
      case 'u': {
        const auto items = pop_to_mark();
        append(top(), items);
        return true;
      }
      case '0':
        pop();
        return true;
      case '1':
        pop_to_mark();
        return true;
      case '2': {
        auto* v = top();
        push(v);
        return true;
      }
      default:
        return false;
    }
  }

  static void append(handle to, const std::vector<handle>& items) {
    if (to->is == value::kind::dead) return;
    if (to->is != value::kind::list && to->is != value::kind::dict)
      throw malformed{"items are added to what holds none"};
    to->items.insert(to->items.end(), items.begin(), items.end());
  }

  bool memo(unsigned char op) {
    switch (op) {
      case 'q':
        memo_[little(1)] = top();
        return true;
      case 'r':
        memo_[little(4)] = top();
        return true;
      case 0x94:  // MEMOIZE
        memo_.emplace(memo_.size(), top());
        return true;
      case 'h':
      case 'j': {
        const auto found = memo_.find(little(op == 'h' ? 1 : 4));
        if (found == memo_.end()) throw malformed{"it refers to what is not there"};
        push(found->second);
        return true;
      }
      default:
        return false;
    }
  }

  bool call(unsigned char op) {
    switch (op) {
      case 'c': {  // GLOBAL
        const auto module = std::string(line());
        push_global(module, line());
        return true;
      }
      case 0x93: {  // STACK_GLOBAL
        const auto* name = pop();
        const auto* module = pop();
        push_global(module->text, name->text);
        return true;
      }
      case 'Q':
        push(storage(pop()));
        return true;
      case 'R':
      case 0x81: {  // REDUCE, NEWOBJ
        auto* const arguments = pop();
        push(apply(pop(), arguments));
        return true;
      }
      case 0x92: {  // NEWOBJ_EX
        pop();
        pop();
        pop();
        push(make(value::kind::dead));
        return true;
      }
      case 'b': {  // BUILD: the state of an ordered dictionary or a dead object
        pop();
        return true;
      }
      default:
        return false;
    }
  }

  void push_global(std::string_view module, std::string_view name) {
    auto* v = make(value::kind::global);
    v->text = fmt::format("{} {}", module, name);
    if (is_harmful(v->text))
      throw malformed{fmt::format("it asks to call {}.{}, which no weights need", module, name)};
    push(v);
  }

  /// ("storage", type, key, device, elements)
  handle storage(handle id) {
    if (id->is != value::kind::list || id->items.size() < 5 || id->items[0]->text != "storage" ||
        id->items[1]->is != value::kind::global)
      throw malformed{"a storage is described in an unknown way"};
    auto* v = make(value::kind::storage);
    const auto& type = id->items[1]->text;
    v->tensor.storage_type = type.substr(type.find(' ') + 1);
    v->tensor.storage_key = id->items[2]->text;
    v->tensor.storage_size = integer_of(id->items[4]);
    return v;
  }

  handle apply(handle what, handle arguments) {
    if (what->is != value::kind::global || arguments->is != value::kind::list)
      return make(value::kind::dead);
    const auto& given = arguments->items;
    if (what->text == "torch._utils _rebuild_tensor_v2" ||
        what->text == "torch._utils _rebuild_tensor") {
      if (given.size() < 4 || given[0]->is != value::kind::storage)
        throw malformed{"a tensor is described in an unknown way"};
      auto* v = make(value::kind::tensor);
      v->tensor = given[0]->tensor;
      v->tensor.offset = integer_of(given[1]);
      v->tensor.shape = integers_of(given[2]);
      v->tensor.stride = integers_of(given[3]);
      return v;
    }
    if (what->text == "torch._utils _rebuild_parameter" && !given.empty()) return given[0];
    if (what->text == "collections OrderedDict" || what->text == "collections defaultdict")
      return make(value::kind::dict);
    return make(value::kind::dead);
  }

  std::string_view code_;
  std::size_t at_ = 0;
  std::deque<value> store_;
  std::vector<handle> stack_;
  std::vector<std::size_t> marks_;
  std::map<std::uint64_t, handle> memo_;
};

void collect(const value& dict, const std::string& prefix, std::size_t depth, std::size_t& seen,
             std::map<std::string, pickled_tensor>& out) {
  if (depth > deepest) throw malformed{"its dictionaries are nested too deep"};
  for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    if (++seen > most_entries) throw malformed{"its dictionaries hold too much"};
    const auto& key = *dict.items[i];
    const auto& item = *dict.items[i + 1];
    if (key.is != value::kind::text) continue;
    const auto name = prefix.empty() ? key.text : prefix + "." + key.text;
    if (item.is == value::kind::tensor) out[name] = item.tensor;
    if (item.is == value::kind::dict) collect(item, name, depth + 1, seen, out);
  }
}

/// The dictionary that stands for the whole, or the top itself.
const value& weights_of(const value& top) {
  for (const auto* wanted : {"state_dict", "params_ema", "params"}) {
    for (std::size_t i = 0; i + 1 < top.items.size(); i += 2) {
      if (top.items[i]->is == value::kind::text && top.items[i]->text == wanted &&
          top.items[i + 1]->is == value::kind::dict)
        return *top.items[i + 1];
    }
  }
  return top;
}

}  // namespace

result<std::map<std::string, pickled_tensor>> read_pickle(std::string_view pickle) {
  try {
    machine m(pickle);
    const auto& top = m.run();
    if (top.is != value::kind::dict) throw malformed{"it holds no dictionary of tensors"};
    std::map<std::string, pickled_tensor> out;
    std::size_t seen = 0;
    collect(weights_of(top), "", 0, seen, out);
    return out;
  } catch (const malformed& m) {
    return fail(ec::bad_file, "the pickle cannot be read: " + m.why);
  }
}

}  // namespace lp::pipelines
