// Log-probabilities of preferences by the reference model, computed once per run.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "runtime/collective.h"
#include "storage/stored_texts.h"

namespace sartor {

// One value per row.
struct ReferenceScores {
  std::vector<double> train, validation, test;
};

// Reads the scores from the file of a run that has begun, if it has the same key, or makes and writes them. `path` is
// used by the first rank only; `make` is called on all ranks or on none, and all return the same scores. A damaged file
// is replaced, with a warning.
ReferenceScores reference_scores(const std::filesystem::path& path, const std::string& key,
                                 const datasets::TokenizedTexts& data, Collective& ranks,
                                 const std::function<ReferenceScores()>& make);

}  // namespace sartor
