#include "support/paths.h"

namespace sartor::testing {

std::string source_path(const std::string& name) { return SARTOR_SOURCE_DIR "/" + name; }
std::string program(const std::string& name) { return SARTOR_BIN_DIR "/" + name; }
std::string venv_program(const std::string& name) { return SARTOR_VENV "/bin/" + name; }

}  // namespace sartor::testing
