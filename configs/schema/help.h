// Help on the fields of a config, for the terminal (--help-config) and for docs/config.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "schema/config.h"

namespace sartor {

struct FieldHelp {
  std::string path;           // model.factors; sources.N.path for elements of a list
  std::string takes;          // "integer from 1 to 65536"
  std::string default_value;  // default as YAML; "" for a section
  std::string help;
  bool required;
};

// Help for a terminal, two lines per field:
//   model.factors = 64  (integer from 1 to 65536)
//       Latent dimensions of users and items.
std::string terminal_help(const std::vector<FieldHelp>& fields);

// A Markdown heading and a table with one row per field.
std::string markdown_help(std::string_view title, const std::vector<FieldHelp>& fields);

namespace detail {

template <Section Config> void add_help(Config& config, const std::string& prefix, std::vector<FieldHelp>& fields);

// Adds the help of each field; that of a case of Fields::choice() begins with the case's name.
struct AddHelp {
  const std::string& prefix;
  std::vector<FieldHelp>& fields;
  std::string of_case = "";

  void begin_case(std::string_view name) { of_case = name.empty() ? "" : std::string(name) + ": "; }

  template <class T> void operator()(const Field<T>& field, T& value) {
    const std::string path = prefix + std::string(field.name);
    const std::string default_value = Section<T> ? "" : to_flow(to_node(value));
    fields.push_back({path, takes<T>(field.limit), default_value, of_case + std::string(field.help), field.required});
    if constexpr (Section<T>) {
      add_help(value, path + ".", fields);
    } else if constexpr (Section<Held<T>>) {
      Held<T> element;
      add_help(element, path + (List<T> ? ".N." : "."), fields);
    }
  }
};

template <Section Config> void add_help(Config& config, const std::string& prefix, std::vector<FieldHelp>& fields) {
  for_each_field(config, AddHelp{prefix, fields});
}

}  // namespace detail

// All fields of a config in order of declaration, each section followed by its fields. Fields that depend on the value
// of another field are included as for the values in `config`; all cases of Fields::choice() are included.
template <Section Config> std::vector<FieldHelp> field_help(Config config = {}) {
  std::vector<FieldHelp> fields;
  detail::add_help(config, "", fields);
  return fields;
}

}  // namespace sartor
