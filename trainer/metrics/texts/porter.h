// The stemmer of Porter (1980), "An algorithm for suffix stripping", with the extensions of NLTK, which rouge-score
// uses.
#pragma once

#include <string>

namespace sartor::text_metrics {

// Stem of a word of lower-case ASCII letters and digits; digits count as consonants.
std::string porter_stem(std::string word);

}  // namespace sartor::text_metrics
