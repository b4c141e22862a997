// Tokenizes a table of texts for tests.
#pragma once

#include <string>

#include "text/tokenizers/tokenizer.h"
#include "text/write_texts.h"

namespace sartor::testing {

// Writes all rows of the table, also repeated ones, in up to 16 tokens each.
inline void tokenize(const std::string& path, const text::TokenizerSpec& spec, const text::TextConfig& config,
                     double validation = 0) {
  datasets::Rejects rejects;
  text::TextSource source(config, rejects);
  const auto describe = [](const text::TextReport&) { return datasets::Provenance{"{}", "hash"}; };
  text::write_texts(path, source, config, text::Tokenizer(spec),
                    {.length = {16},
                     .duplicates = text::TextDuplicates::keep,
                     .split = {.test = 0, .validation = validation},
                     .describe = describe});
}

}  // namespace sartor::testing
