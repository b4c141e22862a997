#include "models/hf/match.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/require.h"

namespace sartor::hf {
namespace {

using ByName = std::map<std::string, const TensorView*>;

// Tensors of the folder by canonical name.
ByName by_name(const Weights& weights, const MatchRules& rules) {
  ByName found;
  std::set<std::string, std::less<>> given_by_alias;
  for (const auto& [name, tensor] : weights.tensors()) {
    const auto alias = rules.aliases.find(rules.canonical(name));
    if (alias == rules.aliases.end()) continue;
    found[alias->second] = tensor;
    given_by_alias.insert(alias->second);
  }
  for (const auto& [name, tensor] : weights.tensors()) {
    const auto canonical = rules.canonical(name);
    if (rules.aliases.contains(canonical) || given_by_alias.contains(canonical)) continue;
    const auto [other, is_new] = found.emplace(canonical, tensor);
    require(is_new, "{}: tensors {} and {} are the same parameter", weights.folder().string(), other->second->name,
            name);
  }
  return found;
}

void check_fits(const ParameterSpec& parameter, const TensorView& view, const std::string& folder) {
  require(view.shape == parameter.shape, "{}: tensor {} has shape {}, config.json requires {}", folder, view.name,
          shape_text(view.shape), shape_text(parameter.shape));
  require(is_floating(view.dtype), "{}: tensor {}: dtype {}, expected F32, F16, BF16 or F64", folder, view.name,
          name(view.dtype));
}

// "a, b, c and 7 more"
std::string some_of(std::span<const std::string> names) {
  constexpr size_t most = 5;
  const auto shown = names.subspan(0, std::min(most, names.size()));
  const auto text = fmt::format("{}", fmt::join(shown, ", "));
  return names.size() <= most ? text : fmt::format("{} and {} more", text, names.size() - most);
}

}  // namespace

Matched match(const Weights& weights, std::vector<ParameterSpec> parameters, const MatchRules& rules) {
  const auto folder = weights.folder().string();
  const auto tensors = by_name(weights, rules);
  Matched matched;
  std::set<std::string> known;
  for (auto& parameter : parameters) {
    known.insert(parameter.name);
    const auto found = tensors.find(parameter.name);
    const bool there = found != tensors.end() && !rules.is_drawn_anew(parameter.name);
    if (there) {
      check_fits(parameter, *found->second, folder);
    } else {
      require(rules.may_be_missing(parameter.name), "{}: has no tensor {}", folder, parameter.name);
      matched.missing.push_back(parameter.name);
    }
    matched.parameters.emplace_back(std::move(parameter), there ? found->second : nullptr);
  }
  for (const auto& [name, tensor] : tensors) {
    if (!known.contains(name) && !rules.is_redundant(name)) matched.unexpected.push_back(tensor->name);
  }
  return matched;
}

std::vector<std::string> ignored_lines(const std::filesystem::path& folder, std::span<const std::string> fields,
                                       std::span<const std::string> tensors) {
  std::vector<std::string> lines;
  if (!fields.empty()) {
    lines.push_back(fmt::format("ignored fields of {}: {}", (folder / "config.json").string(), some_of(fields)));
  }
  if (!tensors.empty()) {
    lines.push_back(fmt::format("unused tensors of {}: {}", folder.string(), some_of(tensors)));
  }
  return lines;
}

}  // namespace sartor::hf
