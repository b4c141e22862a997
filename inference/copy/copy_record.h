// A text of a part, as it is read back when parts are joined.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "copy/row_texts.h"
#include "privacy/masking.h"

namespace sartor::inference {

struct CopyRecord {
  int64_t row = 0;
  bool first_of_row = false;
  std::string_view id, prompt;  // prompt: of the row's first text, otherwise empty
  privacy::MaskCounts masked;   // in the prompt
  int64_t variant = 0, tokens = 0;
  std::string_view text, end, rejected;
  double log_probability = 0;
  Fate fate = Fate::written;
};

}  // namespace sartor::inference
