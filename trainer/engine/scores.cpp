#include "engine/scores.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>

namespace sartor {

nlohmann::ordered_json to_json(const Scores& scores) {
  auto json = nlohmann::ordered_json::object();
  for (const auto& [of, metrics] : scores) {
    json[of] = nlohmann::ordered_json::object();
    for (const auto& [name, value] : metrics) json[of][name] = value;
  }
  return json;
}

std::string in_words(const Scores& scores) {
  constexpr size_t most = 4;
  std::string text;
  for (const auto& [of, metrics] : scores) {
    text += fmt::format("{}{}", text.empty() ? "" : "  ", of);
    for (const auto& [name, value] : std::span(metrics).first(std::min(metrics.size(), most))) {
      text += fmt::format(" {} {:.4g}", name, value);
    }
  }
  return text;
}

}  // namespace sartor
