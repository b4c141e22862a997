// Texts of one row: drawn until each variant has one that passes the filters.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "generation/text_filters.h"
#include "generation/text_writer.h"

namespace sartor::inference {

// What becomes of a text: written to the output, replaced by another text of its variant, or dropped with its variant.
enum class Fate { written, replaced, dropped };
constexpr auto choices(Fate) {
  return std::to_array<Choice<Fate>>(
      {{"written", Fate::written}, {"replaced", Fate::replaced}, {"dropped", Fate::dropped}});
}

struct Copy {
  int64_t variant = 0;  // 0, 1, ... of the row
  Written written;      // written.variant, the draw, names the random numbers
  std::vector<Verdict> verdicts;
  Fate fate = Fate::written;
};

// Judges texts in rounds: when all texts of a round are there, in the order of their draws. The rejected ones are then
// drawn again. Verdicts therefore do not depend on the order in which texts are finished.
class RowTexts {
 public:
  explicit RowTexts(int32_t variants);

  // Adds a text of the current round, whose draws are first_draw(), first_draw() + 1, ... Returns the number of draws
  // of the next round if this text completes one: 0 if the row is complete.
  std::optional<int32_t> add(Written written, const TextFilters& filters, const RefillConfig& refill);
  int32_t first_draw() const { return first_; }

  // All texts, sorted by variants, then draws. Valid when the row is complete.
  std::vector<Copy> take() { return std::move(copies_); }

 private:
  void judge(const TextFilters& filters);
  void finish(Rejected rejected);

  std::vector<int64_t> open_;                  // variants of this round
  std::vector<std::optional<Written>> round_;  // their texts
  size_t missing_;                             // texts of the round that are not there yet
  int32_t first_ = 0, last_round_ = 0;         // first draws of this round and of the one before
  int64_t rounds_ = 0;
  KeptTexts kept_;
  std::vector<Copy> copies_;
};

}  // namespace sartor::inference
