// The tensors of a folder by the names of a model's parameters.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/hf/parameter_list.h"
#include "models/hf/weights.h"

namespace sartor::hf {

// How the folders of a family name what a model has. All but `canonical` are asked for canonical names.
struct MatchRules {
  // The parameter's name for that of a tensor, which may be an old one; a name that is no parameter's stays.
  std::function<std::string(std::string_view)> canonical;
  // Tensors under a name of their own that are a parameter all the same, and before one of the parameter's name.
  std::map<std::string, std::string, std::less<>> aliases = {};
  // Whether a tensor says nothing that the parameters do not: a tied one, a buffer.
  std::function<bool(std::string_view)> is_redundant = [](std::string_view) { return false; };
  // Whether a parameter may be missing; that of a new model takes its place.
  std::function<bool(std::string_view)> may_be_missing = [](std::string_view) { return false; };
  // Whether a parameter counts as missing, whatever the folder has of it.
  std::function<bool(std::string_view)> is_drawn_anew = [](std::string_view) { return false; };
};

struct Matched {
  std::vector<std::pair<ParameterSpec, const TensorView*>> parameters;  // null where it is missing
  std::vector<std::string> missing;                                     // names of parameters
  std::vector<std::string> unexpected;                                  // names of tensors
};

// Throws std::invalid_argument, naming the folder and the tensor, where a parameter is missing that must not be, has
// another shape or a dtype that is no floating point, or stands there twice. Reads no values.
Matched match(const Weights& weights, std::vector<ParameterSpec> parameters, const MatchRules& rules);

// What of a folder means nothing to a model: a line for fields of its config.json and one for its tensors, none where
// there is nothing.
std::vector<std::string> ignored_lines(const std::filesystem::path& folder, std::span<const std::string> fields,
                                       std::span<const std::string> tensors);

}  // namespace sartor::hf
