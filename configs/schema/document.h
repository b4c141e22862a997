// A config as the user gave it: a YAML file and the command line's changes to it.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "schema/yaml.h"

namespace sartor {

// The file, changed by each override in turn: "model.factors=64", "sources.0.path=a.csv", "at=[1, 5]". What follows the
// first = is YAML. A path may name what the file lacks; a number is a place in a list as the file has it, and one past
// its end adds to it.
// Throws std::invalid_argument: the file cannot be read, is empty or not YAML; a malformed override.
YamlNode load_document(const std::string& file, const std::vector<std::string>& overrides = {});

// The same from the text of a file that messages call `name`.
YamlNode parse_document(std::string_view text, const std::string& name, const std::vector<std::string>& overrides = {});

}  // namespace sartor
