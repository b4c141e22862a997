// Where tests find the project and its programs. Only paths.cpp knows this clone: compiled tests are the same in every
// other, so that clones share a compiler cache.
#pragma once

#include <string>

namespace sartor::testing {

std::string source_path(const std::string& name);   // "data/minilm" in this clone
std::string program(const std::string& name);       // "sartor-train", or a test's own, in this build
std::string venv_program(const std::string& name);  // "python", "torchrun"

}  // namespace sartor::testing
