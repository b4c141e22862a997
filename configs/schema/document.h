// Config documents: a YAML file with the overrides of the command line (--set).
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "schema/yaml.h"

namespace sartor {

// Reads a file and applies the overrides in order: "model.factors=64", "sources.0.path=a.csv", "at=[1, 5]". The text
// after the first = is parsed as YAML. A path may name a field that the file does not have; a number in a path is an
// index into a list, and the index one past the end appends an element. Throws std::invalid_argument if the file cannot
// be read, is empty or not YAML, or if an override is malformed.
YamlNode load_document(const std::string& file, const std::vector<std::string>& overrides = {});

// As above, from text. Error messages use `name` as the file name.
YamlNode parse_document(std::string_view text, const std::string& name, const std::vector<std::string>& overrides = {});

}  // namespace sartor
