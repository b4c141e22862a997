// Matches the tensors of a folder with the parameters of a model.
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

// Naming rules of a family. All functions except `canonical` take canonical names.
struct MatchRules {
  // The parameter name for a tensor name, which may be of an older version. Names of no parameter are returned
  // unchanged.
  std::function<std::string(std::string_view)> canonical;
  // Other tensor names of parameters. They take precedence over a tensor with the name of the parameter.
  std::map<std::string, std::string, std::less<>> aliases = {};
  // Whether a tensor is redundant: tied to a parameter, or a buffer.
  std::function<bool(std::string_view)> is_redundant = [](std::string_view) { return false; };
  // Whether a parameter may be missing in the folder. It then keeps its initial values.
  std::function<bool(std::string_view)> may_be_missing = [](std::string_view) { return false; };
  // Whether a parameter is treated as missing even if the folder has it.
  std::function<bool(std::string_view)> is_drawn_anew = [](std::string_view) { return false; };
};

struct Matched {
  std::vector<std::pair<ParameterSpec, const TensorView*>> parameters;  // null if missing
  std::vector<std::string> missing;                                     // names of parameters
  std::vector<std::string> unexpected;                                  // names of tensors
};

// Matches tensors with parameters, without reading values. Throws std::invalid_argument with the folder and the tensor
// if a required parameter is missing, has another shape or a dtype that is not floating point, or occurs twice.
Matched match(const Weights& weights, std::vector<ParameterSpec> parameters, const MatchRules& rules);

// Log lines about ignored parts of a folder: one for fields of config.json and one for tensors, each only if there are
// any.
std::vector<std::string> ignored_lines(const std::filesystem::path& folder, std::span<const std::string> fields,
                                       std::span<const std::string> tensors);

}  // namespace sartor::hf
