// Truncation and padding of rows: the fields "truncation" and "padding" of tokenizer.json.
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
  int64_t max_length = 512;  // length of the whole row; at least the number of special tokens
  TruncationStrategy strategy = TruncationStrategy::longest_first;
  Side side = Side::right;  // where tokens are removed
  int64_t stride = 0;       // read from files but unused: overflowing windows are not supported

  bool operator==(const Truncation&) const = default;
};

struct Padding {
  int64_t length = 0;       // length of all rows; 0: length of the longest row
  int64_t multiple_of = 1;  // rounds the length up to a multiple of this
  Side side = Side::right;  // where padding is added
  int32_t id = 0;
  uint8_t type_id = 0;

  bool operator==(const Padding&) const = default;
};

// Both throw std::invalid_argument if the field requires unsupported features.
Truncation read_truncation(const datasets::JsonField& field);
Padding read_padding(const datasets::JsonField& field);
nlohmann::ordered_json json_of(const Truncation& truncation);
nlohmann::ordered_json json_of(const Padding& padding, const std::string& token);  // token: text of the padding token

// Numbers of tokens of the first and second text.
struct KeptTokens {
  size_t first, second;
};

// Numbers of tokens that remain if texts with `all` tokens share a row with room for `room` tokens besides special
// ones. Throws std::invalid_argument if only_first or only_second would remove a whole text or there is no second text.
KeptTokens kept_tokens(KeptTokens all, bool pair, TruncationStrategy strategy, size_t room);

}  // namespace sartor::text
