// The weights of a Hugging Face folder: one model.safetensors, or shards that model.safetensors.index.json names.
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
  // Opens what the folder has. Throws std::invalid_argument where there is neither file, or where the index names a
  // file that is not beside it, a tensor that its file lacks, or lacks one that a file has.
  explicit Weights(const std::filesystem::path& folder);

  const std::filesystem::path& folder() const { return folder_; }
  const std::map<std::string, const TensorView*, std::less<>>& tensors() const { return tensors_; }
  const TensorView* find(std::string_view name) const;  // null if absent

  // Gives the memory of the pages read so far back.
  void release() const;

 private:
  std::filesystem::path folder_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, const TensorView*, std::less<>> tensors_;
};

// The file of each tensor, out of the text of an index. Throws std::invalid_argument on another form, and on a file
// name with a folder in it.
std::map<std::string, std::string> parse_weights_index(std::string_view json, const std::string& source);

}  // namespace sartor::hf
