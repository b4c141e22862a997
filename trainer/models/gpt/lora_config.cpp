#include "models/gpt/lora_config.h"

#include "models/gpt/families.h"

namespace sartor::gpt {

void LoraConfig::check() const {
  std::vector<std::string_view> all;
  for (const auto& family : families()) {
    for (const auto name : family.linear_layers()) {
      if (std::ranges::find(all, name) == all.end()) all.push_back(name);
    }
  }
  if (!modules.empty()) transformer::LoraConfig::check(all);
}

transformer::LoraConfig LoraConfig::for_model(const GptConfig& config) const {
  const Family& family = config.family();
  transformer::LoraConfig chosen = *this;
  if (chosen.modules.empty()) chosen.modules.assign(family.adapted_by_default.begin(), family.adapted_by_default.end());
  chosen.check(family.linear_layers());
  return chosen;
}

}  // namespace sartor::gpt
