# What every room's CMakeLists.txt uses.

# Sources of a room are found by glob, so that adding a file touches that file alone.
function(lp_sources out)
  file(GLOB _found CONFIGURE_DEPENDS ${ARGN})
  set(${out} ${_found} PARENT_SCOPE)
endfunction()

# Warnings are errors for our code; headers of packages come in as system headers.
function(lp_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Werror)
endfunction()

macro(lp_sanitizers)
  if(LP_SANITIZE STREQUAL "address")
    # -fno-sanitize=null: CAF 0.17.6's init_fun_factory.hpp binds references to null on purpose.
    # vptr needs the RTTI of packages that were not built with the sanitizer.
    add_compile_options(-fsanitize=address,undefined -fno-sanitize=null,vptr
                        -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
    # Instrumented code of GCC 12's own <regex> is told to be used before it is set.
    add_compile_options($<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
    add_link_options(-fsanitize=address,undefined)
  elseif(LP_SANITIZE STREQUAL "thread")
    add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
    # The sanitizer does not know fences. Asio puts them round handlers only, which its locks order.
    add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)
    add_link_options(-fsanitize=thread)
  endif()
endmacro()

macro(lp_find_dependencies)
  find_package(Threads REQUIRED)
  find_package(fmt REQUIRED)
  find_package(tl-expected REQUIRED)
  find_package(OpenSSL REQUIRED)
  find_package(ZLIB REQUIRED)
  find_package(CURL 7.85 REQUIRED)
  find_package(Boost 1.81 REQUIRED COMPONENTS json)
  find_package(ICU REQUIRED COMPONENTS uc)
  find_package(Protobuf REQUIRED)
  find_package(tomlplusplus REQUIRED)
  find_package(CLI11 REQUIRED)
  find_package(CAF REQUIRED COMPONENTS core io)
  find_package(Torch REQUIRED)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(FFMPEG REQUIRED IMPORTED_TARGET libavformat libavcodec libavutil libswscale)
  pkg_check_modules(PICTURES REQUIRED IMPORTED_TARGET libjpeg libpng libwebp)
  pkg_check_modules(SECP256K1 REQUIRED IMPORTED_TARGET libsecp256k1)
  pkg_check_modules(CRYPTOPP REQUIRED IMPORTED_TARGET libcrypto++)
  find_package(SQLite3 REQUIRED)
endmacro()

# libtorch's headers warn under -Wextra: bring them in as system headers, through one target.
macro(lp_torch_target)
  if(NOT TARGET lp_torch)
    add_library(lp_torch INTERFACE)
    target_link_libraries(lp_torch INTERFACE ${TORCH_LIBRARIES})
    target_include_directories(lp_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
  endif()
endmacro()

# lp_test(NAME name SOURCES ... LIBS ... [LABELS ...] [TIMEOUT s]): one GoogleTest binary. ctest runs
# it as one test, so that torch is loaded once a binary and not once a case.
function(lp_test)
  cmake_parse_arguments(T "" "NAME;TIMEOUT" "SOURCES;LIBS;LABELS" ${ARGN})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 300)
  endif()
  add_executable(${T_NAME} ${T_SOURCES})
  target_link_libraries(${T_NAME} PRIVATE ${T_LIBS} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${T_NAME} PRIVATE LP_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                                               LP_BINARY_DIR="${CMAKE_BINARY_DIR}")
  lp_warnings(${T_NAME})
  add_test(NAME ${T_NAME} COMMAND ${T_NAME})
  # Passive: see pipelines/engine.cpp.
  set_tests_properties(${T_NAME} PROPERTIES TIMEOUT ${T_TIMEOUT} LABELS "${T_LABELS}"
                                            ENVIRONMENT OMP_WAIT_POLICY=passive)
endfunction()
