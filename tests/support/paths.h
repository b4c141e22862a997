// Paths of the source tree and the programs. Only paths.cpp contains the path of this clone, so that clones share
// cached objects of all other files.
#pragma once

#include <string>

namespace sartor::testing {

std::string source_path(const std::string& name);   // "data/minilm" in this clone
std::string program(const std::string& name);       // "sartor-train" or a test program, in this build
std::string venv_program(const std::string& name);  // "python", "torchrun"

}  // namespace sartor::testing
