// task: embed — computes embeddings of a table of texts with a BERT model and writes them to an HDF5 file.
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
    field("id", id, "Column with ids of the texts, which task: similar requires to be unique. Default: row numbers.");
    field("pooling", pooling,
          "mean: average the last hidden states over a text's tokens; cls: take the last hidden state of the first "
          "token.");
    field("normalize", normalize, "Scale embeddings to length 1.");
    field.required("output", output, file_path(),
                   "HDF5 file to write with ids, rows (numbers in the source, from 1, including headers and blank "
                   "lines) and vectors (texts, hidden size).");
  }
};

// Parts and output have the format of storage/stored_embeddings.h.
std::unique_ptr<TextOutput> make_embeddings_output(const EmbedConfig& config, int64_t columns);

void embed(const EmbedConfig& config, const Invocation& invocation);

}  // namespace sartor::inference
