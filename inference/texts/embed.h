// task: embed — a BERT and a table of texts in, an HDF5 file of their embeddings out.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "texts/text_scoring.h"

namespace sartor::inference {

struct EmbedConfig : TextScoringConfig {
  std::optional<std::string> id;
  Pooling pooling = Pooling::mean;
  bool normalize = true;

  template <class Fields> void describe(Fields& field) {
    TextScoringConfig::describe(field);
    field("id", id, "Column of the texts' ids; by default their row numbers. similar wants each once.");
    field("pooling", pooling, "Of the last hidden states: their mean over a text's tokens, or that of its first.");
    field("normalize", normalize, "Whether embeddings have length 1.");
    field.required("output", output, file_path(),
                   "HDF5 file to write: ids, rows (of the source, from 1, a header and blank lines counted), vectors "
                   "(texts, hidden).");
  }
};

// Parts, and the whole, are files of storage/stored_embeddings.h.
std::unique_ptr<TextOutput> make_embeddings_output(const EmbedConfig& config, int64_t columns);

void embed(const EmbedConfig& config, const Invocation& invocation);

}  // namespace sartor::inference
