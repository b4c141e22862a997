// Checks that an object compiled once per instruction set exports no symbol that the linker could merge with another
// object's: a weak function from the v4 build would be an illegal instruction on a v3 machine.
#pragma once

#include <gmock/gmock.h>

#include <cstdio>
#include <sstream>
#include <string>

namespace sartor::testing {

inline std::string output_of(const std::string& command) {
  std::string output;
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return output;
  char part[4096];
  for (size_t size; (size = fread(part, 1, sizeof part, pipe)) > 0;) output.append(part, size);
  return pclose(pipe) == 0 ? output : "";
}

// objects: paths with : between them. scope: the mangled namespace that all symbols must be in, "6sartor4cuda2v3".
inline void expect_own_symbols(const std::string& objects, const std::string& scope) {
  std::istringstream paths(objects);
  for (std::string path; std::getline(paths, path, ':');) {
    std::istringstream symbols(output_of("nm --defined-only --extern-only '" + path + "'"));
    int own = 0;
    for (std::string address, kind, name; symbols >> address >> kind >> name;) {
      if (name.starts_with("DW.ref.")) continue;  // pointer into the C++ runtime, added by ThreadSanitizer
      EXPECT_THAT(name, ::testing::HasSubstr(scope)) << "kind " << kind << " in " << path;
      EXPECT_THAT(kind, ::testing::AnyOf("T", "D", "R", "B")) << name << " in " << path;  // no W, V, u
      own++;
    }
    EXPECT_GT(own, 0) << path;
  }
}

}  // namespace sartor::testing
