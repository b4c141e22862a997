#include "copy/row_texts.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace sartor::inference {

RowTexts::RowTexts(int32_t variants) : open_(variants), round_(variants), missing_(variants) {
  std::iota(open_.begin(), open_.end(), 0);
}

std::optional<int32_t> RowTexts::add(Written written, const TextFilters& filters, const RefillConfig& refill) {
  const auto place = static_cast<size_t>(written.variant - first_);
  round_[place] = std::move(written);
  if (--missing_ > 0) return {};
  judge(filters);
  if (rounds_ == refill.attempts) {
    finish(refill.rejected);
    open_.clear();
  }
  if (open_.empty()) std::ranges::stable_sort(copies_, {}, &Copy::variant);
  return static_cast<int32_t>(open_.size());
}

void RowTexts::judge(const TextFilters& filters) {
  std::vector<int64_t> rejected;
  for (size_t i = 0; i < open_.size(); i++) {
    auto& written = *round_[i];
    auto verdicts = filters.judge(written.text, std::ssize(written.ids), kept_);
    if (!verdicts.empty()) rejected.push_back(open_[i]);
    const auto fate = verdicts.empty() ? Fate::written : Fate::replaced;
    copies_.push_back({open_[i], std::move(written), std::move(verdicts), fate});
  }
  last_round_ = std::exchange(first_, first_ + static_cast<int32_t>(open_.size()));
  rounds_++;
  open_ = std::move(rejected);
  missing_ = open_.size();
  round_.assign(missing_, std::nullopt);
}

// Nothing replaces the rejected texts of the last round.
void RowTexts::finish(Rejected rejected) {
  for (auto& copy : copies_) {
    const bool last = copy.written.variant >= last_round_;
    if (copy.fate == Fate::replaced && last) copy.fate = rejected == Rejected::write ? Fate::written : Fate::dropped;
  }
}

}  // namespace sartor::inference
