// The weights in a Hugging Face folder: model.safetensors, or the shards listed in model.safetensors.index.json.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "models/hf/safetensors.h"

namespace sartor::hf {

class Weights {
 public:
  // Throws std::invalid_argument if both files are missing, or if the index names a missing file or a tensor that its
  // file does not contain, or does not list a tensor of a file.
  explicit Weights(const std::filesystem::path& folder);

  const std::filesystem::path& folder() const { return folder_; }
  const std::map<std::string, const TensorView*, std::less<>>& tensors() const { return tensors_; }
  const TensorView* find(std::string_view name) const;  // null if absent

  // Releases the memory of the pages read so far.
  void release() const;

 private:
  std::filesystem::path folder_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, const TensorView*, std::less<>> tensors_;
};

// Parses an index and returns the file of each tensor. Throws std::invalid_argument if the format is invalid or a file
// name contains a folder.
std::map<std::string, std::string> parse_weights_index(std::string_view json, const std::string& source);

}  // namespace sartor::hf
