// What a YAML file may say about low-rank adaptation; names and defaults are those of Hugging Face's peft. Which linear
// layers there are is the model's to say: its config is derived from this one, with their names and defaults.
#pragma once

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "schema/fields.h"

namespace sartor::transformer {

struct LoraConfig {
  int64_t rank = 8;
  double alpha = 8;
  double dropout = 0;
  std::vector<std::string> modules = {};  // the ends of names of linear layers, as peft's target_modules

  template <class Fields> void describe(Fields& field, std::string_view modules_help) {
    field("rank", rank, at_least(1), "Inner width of the adapters.");
    field("alpha", alpha, above(0), "Adapters are scaled by alpha / rank.");
    field("dropout", dropout, between(0, 1), "Of what goes into the adapters.");
    field("modules", modules, modules_help);
  }

  // Throws std::invalid_argument unless each of `modules` names one of the model's linear layers.
  void check(std::span<const std::string_view> linears) const {
    require(!modules.empty(), "modules is empty, expected some of {}", fmt::join(linears, ", "));
    for (const auto& module : modules) {
      require(std::ranges::any_of(linears, [&](auto name) { return names(module, name); }),
              "modules has {}, expected ends of {}", module, fmt::join(linears, ", "));
    }
  }

  // Whether the linear layer `name` gets an adapter.
  bool adapts(std::string_view name) const {
    return std::ranges::any_of(modules, [&](const auto& module) { return names(module, name); });
  }

 private:
  // The whole name, or its last words.
  static bool names(std::string_view module, std::string_view name) {
    return !module.empty() && ('.' + std::string(name)).ends_with('.' + std::string(module));
  }
};

}  // namespace sartor::transformer
