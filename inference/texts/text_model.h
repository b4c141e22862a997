// Inference with BERT models on the CPU or a GPU.
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

namespace sartor {
class Transfer;
namespace bert {
class Bert;
}
}  // namespace sartor

namespace sartor::inference {

using bert::Pooling;
using transformer::Precision;

// Returns `path` if it is a Hugging Face folder, or the model folder in a run folder. Throws std::invalid_argument
// otherwise.
std::filesystem::path model_folder(const std::filesystem::path& path);

class TextModel {
 public:
  // A model that computes logits or pooled embeddings. gpu: device index, -1 for the CPU. Both throw
  // std::invalid_argument if the folder is invalid or lacks a required tensor, and for int8 on a GPU.
  static TextModel classifier(const std::filesystem::path& folder, Precision precision, int gpu);
  static TextModel embedder(const std::filesystem::path& folder, Precision precision, int gpu, Pooling pooling,
                            bool normalize);
  // The same with a loaded model on an accelerator, by that device's transfer.
  static TextModel classifier(bert::Bert model, Transfer transfer);
  static TextModel embedder(bert::Bert model, Transfer transfer, Pooling pooling, bool normalize);
  ~TextModel();
  TextModel(TextModel&&) noexcept;

  const bert::BertConfig& config() const;
  int64_t columns() const;                          // number of classes, or the hidden size
  const std::vector<std::string>& ignored() const;  // messages about ignored parts of the folder, see bert::ignored()

  // Returns values (rows, columns()) in the order of `rows`. Rows are sorted by length and batched with at most
  // `batch_tokens` tokens, or one longer row. Calls before_batch(number of rows before it) before each batch. On the
  // CPU, the values of a row do not depend on other rows, bit for bit. On an accelerator, batches are packed and sent
  // ahead on another thread, and nothing waits for the batch that is computed. Throws std::invalid_argument if a value
  // is not finite.
  std::vector<float> score(const text::Encodings& rows, int64_t batch_tokens,
                           const std::function<void(int64_t done)>& before_batch = nullptr) const;

 private:
  struct Opened;
  explicit TextModel(std::unique_ptr<Opened> opened);

  std::unique_ptr<Opened> opened_;
};

}  // namespace sartor::inference
