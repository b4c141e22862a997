// How long a row of tokens may be and what shorter rows are filled with: the fields "truncation" and "padding" of
// tokenizer.json.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace sartor::datasets {
class JsonField;
}

namespace sartor::text {

enum class TruncationStrategy { longest_first, only_first, only_second };
enum class Side { right, left };

struct Truncation {
  int64_t max_length = 512;  // of the whole, special tokens included; at least their number
  TruncationStrategy strategy = TruncationStrategy::longest_first;
  Side side = Side::right;  // what is cut off
  int64_t stride = 0;       // tokens that overflowing windows would share; only read, we make no windows

  bool operator==(const Truncation&) const = default;
};

struct Padding {
  int64_t length = 0;       // of all rows; 0: as long as the longest
  int64_t multiple_of = 1;  // the length is rounded up to a multiple of this
  Side side = Side::right;  // where it goes
  int32_t id = 0;
  uint8_t type_id = 0;

  bool operator==(const Padding&) const = default;
};

// Both throw std::invalid_argument for what they cannot do.
Truncation read_truncation(const datasets::JsonField& field);
Padding read_padding(const datasets::JsonField& field);
nlohmann::ordered_json json_of(const Truncation& truncation);
nlohmann::ordered_json json_of(const Padding& padding, const std::string& token);  // the padding token's text

// How many tokens of the first and of the second text stay.
struct KeptTokens {
  size_t first, second;
};

// Of texts of so many tokens, in a row that has room for `room` of them beside its special tokens. Throws
// std::invalid_argument where only_first or only_second would leave nothing of the text or there is no second text.
KeptTokens kept_tokens(KeptTokens all, bool pair, TruncationStrategy strategy, size_t room);

}  // namespace sartor::text
