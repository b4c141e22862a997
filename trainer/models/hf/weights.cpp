#include "models/hf/weights.h"

#include <set>

#include "base/require.h"
#include "models/hf/json.h"

namespace sartor::hf {
namespace {

namespace fs = std::filesystem;

std::map<std::string, std::string> files_of(const Json& index, const std::string& source) {
  require(index.is_object() && index.contains("weight_map") && index["weight_map"].is_object(),
          "{}: expected an object with an object weight_map", source);
  std::map<std::string, std::string> files;
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    require(file.is_string(), "{}: weight_map: {}: found {}, expected a file name", source, tensor, kind_of(file));
    const auto name = file.get<std::string>();
    require(
        !name.empty() && name.find_first_of(std::string_view("/\\\0", 3)) == name.npos && name != "." && name != "..",
        "{}: weight_map: {}: \"{}\" is not the name of a file in the folder of the index", source, tensor, name);
    files[tensor] = name;
  }
  return files;
}

}  // namespace

std::map<std::string, std::string> parse_weights_index(std::string_view json, const std::string& source) {
  return files_of(parse_json(json, source), source);
}

Weights::Weights(const fs::path& folder) : folder_(folder) {
  const fs::path single = folder / "model.safetensors", index = folder / "model.safetensors.index.json";
  std::map<std::string, std::string> file_of;
  if (fs::exists(single)) {
    files_.emplace_back(single);
  } else if (fs::exists(index)) {
    file_of = files_of(read_json(index), index.string());
    std::set<std::string> names;
    for (const auto& [tensor, file] : file_of) names.insert(file);
    for (const auto& name : names) files_.emplace_back(folder / name);
    size_t which = 0;
    for (const auto& name : names) {
      for (const auto& tensor : files_[which].tensors()) {
        const auto found = file_of.find(tensor.name);
        require(found != file_of.end() && found->second == name,
                "{}: {} has tensor {}, but weight_map does not assign it to that file", index.string(), name,
                tensor.name);
      }
      which++;
    }
  } else {
    require(!fs::exists(folder / "pytorch_model.bin"),
            "{}: has only pytorch_model.bin, a pickle, which is not supported; save it as model.safetensors",
            folder.string());
    require(false, "{}: has neither model.safetensors nor model.safetensors.index.json", folder.string());
  }
  for (const auto& file : files_) {
    for (const auto& tensor : file.tensors()) tensors_.emplace(tensor.name, &tensor);
  }
  for (const auto& [tensor, file] : file_of) {
    require(tensors_.contains(tensor), "{}: {} lacks tensor {}", index.string(), file, tensor);
  }
}

const TensorView* Weights::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : found->second;
}

void Weights::release() const {
  for (const auto& file : files_) file.release();
}

}  // namespace sartor::hf
