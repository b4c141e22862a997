// A BERT that scores rows of tokens, on the CPU or a GPU.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "models/bert/config.h"
#include "models/bert/pooling.h"
#include "models/transformer/precision.h"
#include "text/tokenizers/tokenizer.h"

namespace sartor::inference {

using bert::Pooling;
using transformer::Precision;

// The Hugging Face folder that `path` is, or the model of the run that it is. Throws std::invalid_argument otherwise.
std::filesystem::path model_folder(const std::filesystem::path& path);

class TextModel {
 public:
  // Logits of the folder's classes, or pooled embeddings. gpu: its number, -1 for the CPU. Throw std::invalid_argument
  // for a folder that is broken or lacks what is used, and for int8 on a GPU.
  static TextModel classifier(const std::filesystem::path& folder, Precision precision, int gpu);
  static TextModel embedder(const std::filesystem::path& folder, Precision precision, int gpu, Pooling pooling,
                            bool normalize);
  ~TextModel();
  TextModel(TextModel&&) noexcept;

  const bert::BertConfig& config() const;
  int64_t columns() const;                          // classes, or the hidden size
  const std::vector<std::string>& ignored() const;  // of the folder, a line each: bert::ignored()

  // (rows, columns()), in the order of the rows. They go through the model in batches of at most `batch_tokens` tokens,
  // or of one longer row, equal lengths together; before each, `before_batch` is told how many rows are done. On the
  // CPU a row's values have the same bits whatever else is there. Throws std::invalid_argument where a value is not
  // finite.
  std::vector<float> score(const text::Encodings& rows, int64_t batch_tokens,
                           const std::function<void(int64_t done)>& before_batch = nullptr) const;

 private:
  struct Opened;
  explicit TextModel(std::unique_ptr<Opened> opened);

  std::unique_ptr<Opened> opened_;
};

}  // namespace sartor::inference
