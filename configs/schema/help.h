// What a config takes, for the terminal (--help-config) and for docs/config.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "schema/config.h"

namespace sartor {

struct FieldHelp {
  std::string path;           // model.factors; sources.N.path within the elements of a list
  std::string takes;          // "integer from 1 to 65536"
  std::string default_value;  // the default as YAML, "" for a section
  std::string help;
  bool required;
};

// model.factors = 64  (integer from 1 to 65536)
//     Latent dimensions of users and items.
std::string terminal_help(const std::vector<FieldHelp>& fields);

// A heading and a table in Markdown, one row a field.
std::string markdown_help(std::string_view title, const std::vector<FieldHelp>& fields);

namespace detail {

template <Section Config> void add_help(Config& config, const std::string& prefix, std::vector<FieldHelp>& fields) {
  for_each_field(config, [&]<class T>(const Field<T>& field, T& value) {
    const std::string path = prefix + std::string(field.name);
    const std::string default_value = Section<T> ? "" : to_flow(to_node(value));
    fields.push_back({path, takes<T>(field.limit), default_value, std::string(field.help), field.required});
    if constexpr (Section<T>) {
      add_help(value, path + ".", fields);
    } else if constexpr (Section<Held<T>>) {
      Held<T> element;
      add_help(element, path + (List<T> ? ".N." : "."), fields);
    }
  });
}

}  // namespace detail

// The fields of a config in order, each section's fields after it. Where fields depend on others, those of the values
// that `config` has.
template <Section Config> std::vector<FieldHelp> field_help(Config config = {}) {
  std::vector<FieldHelp> fields;
  detail::add_help(config, "", fields);
  return fields;
}

}  // namespace sartor
