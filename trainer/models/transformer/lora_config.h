// What a YAML file may say about low-rank adaptation; names and defaults are those of Hugging Face's peft.
#pragma once

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "schema/fields.h"

namespace sartor::transformer {

// The linear layers of an encoder layer.
constexpr std::array<std::string_view, 6> layer_modules = {"attention.self.query", "attention.self.key",
                                                           "attention.self.value", "attention.output.dense",
                                                           "intermediate.dense",   "output.dense"};

struct LoraConfig {
  int64_t rank = 8;
  double alpha = 8;
  double dropout = 0;
  std::vector<std::string> modules = {"query", "value"};

  template <class Fields> void describe(Fields& field) {
    field("rank", rank, at_least(1), "Inner width of the adapters.");
    field("alpha", alpha, above(0), "Adapters are scaled by alpha / rank.");
    field("dropout", dropout, between(0, 1), "Of what goes into the adapters.");
    field("modules", modules,
          "Linear layers that get an adapter, by the ends of their names: query, key, value, attention.output.dense, "
          "intermediate.dense, output.dense (the one before too), dense (all three).");
  }
  void check() const {
    require(!modules.empty(), "modules is empty, expected some of {}", fmt::join(layer_modules, ", "));
    for (const auto& module : modules) {
      require(std::ranges::any_of(layer_modules, [&](auto name) { return names(module, name); }),
              "modules has {}, expected ends of {}", module, fmt::join(layer_modules, ", "));
    }
  }

  // Whether the linear layer `name` gets an adapter.
  bool adapts(std::string_view name) const {
    return std::ranges::any_of(modules, [&](const auto& module) { return names(module, name); });
  }

 private:
  // As peft's target_modules: the whole name, or its last words.
  static bool names(std::string_view module, std::string_view name) {
    return !module.empty() && ('.' + std::string(name)).ends_with('.' + std::string(module));
  }
};

}  // namespace sartor::transformer
