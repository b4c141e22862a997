// Config of low-rank adaptation, with names and defaults of Hugging Face's peft. Each model derives its own config,
// with the names and defaults of its linear layers.
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
  std::vector<std::string> modules = {};  // suffixes of names of linear layers, like target_modules in peft

  template <class Fields> void describe(Fields& field, std::string_view modules_help) {
    field("rank", rank, at_least(1), "Rank of the adapters.");
    field("alpha", alpha, above(0), "Adapters are scaled by alpha / rank.");
    field("dropout", dropout, between(0, 1), "Dropout probability of the adapter inputs.");
    field("modules", modules, modules_help);
  }

  // Throws std::invalid_argument if `modules` is empty or an entry matches none of the model's linear layers.
  void check(std::span<const std::string_view> linears) const {
    require(!modules.empty(), "modules is empty, expected some of {}", fmt::join(linears, ", "));
    for (const auto& module : modules) {
      require(std::ranges::any_of(linears, [&](auto name) { return names(module, name); }),
              "modules has {}, expected suffixes of {}", module, fmt::join(linears, ", "));
    }
  }

  // Whether linear layer `name` gets an adapter.
  bool adapts(std::string_view name) const {
    return std::ranges::any_of(modules, [&](const auto& module) { return names(module, name); });
  }

 private:
  // Whether `module` is the name or its last components.
  static bool names(std::string_view module, std::string_view name) {
    return !module.empty() && ('.' + std::string(name)).ends_with('.' + std::string(module));
  }
};

}  // namespace sartor::transformer
