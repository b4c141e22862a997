#include "schema/help.h"

#include <fmt/format.h>

namespace sartor {
namespace {

// Escapes |, which would end the table cell.
std::string cell(std::string_view text) {
  std::string escaped;
  for (const char c : text) escaped += c == '|' ? "\\|" : std::string(1, c);
  return escaped;
}

}  // namespace

std::string terminal_help(const std::vector<FieldHelp>& fields) {
  std::string text;
  for (const auto& [path, takes, default_value, help, required] : fields) {
    const std::string value = required || default_value.empty() ? "" : " = " + default_value;
    text += fmt::format("{}{}  ({}{})\n    {}\n", path, value, takes, required ? ", required" : "", help);
  }
  return text;
}

std::string markdown_help(std::string_view title, const std::vector<FieldHelp>& fields) {
  std::string text = fmt::format("## {}\n\n| field | takes | default | |\n|---|---|---|---|\n", title);
  for (const auto& [path, takes, default_value, help, required] : fields) {
    const std::string value = required ? "required" : default_value.empty() ? "" : fmt::format("`{}`", default_value);
    text += fmt::format("| `{}` | {} | {} | {} |\n", path, cell(takes), cell(value), cell(help));
  }
  return text;
}

}  // namespace sartor
