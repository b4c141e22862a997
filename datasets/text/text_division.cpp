#include "text/text_division.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "base/numbers.h"
#include "storage/sha256.h"

namespace sartor::text {
namespace {

TextDivision::Hash short_hash(const std::string& text) {
  const auto digits = datasets::sha256(text);
  const auto value = [](char digit) { return digit <= '9' ? digit - '0' : digit - 'a' + 10; };
  TextDivision::Hash hash;
  for (size_t i = 0; i < hash.size(); i++) {
    hash[i] = static_cast<uint8_t>(value(digits[2 * i]) << 4 | value(digits[2 * i + 1]));
  }
  return hash;
}

// Sorts numerically if all names are integers, otherwise as text.
std::vector<std::string> sorted_names(std::vector<std::string> names) {
  const auto number = [](const std::string& name) { return parse_number<int64_t>(name); };
  const bool numbers = std::ranges::all_of(names, [&](const auto& name) { return number(name).has_value(); });
  std::ranges::sort(names, [&](const auto& a, const auto& b) { return numbers ? number(a) < number(b) : a < b; });
  return names;
}

}  // namespace

datasets::Part part_of_rank(int64_t rank, int64_t items, double validation, double test) {
  const auto until = [&](double share) { return static_cast<int64_t>(static_cast<double>(items) * share + 1e-9); };
  if (rank < until(1 - test - validation)) return datasets::Part::train;
  return rank < until(1 - test) ? datasets::Part::validation : datasets::Part::test;
}

TextDivision::Hash text_hash(int64_t seed, const std::string& text, const std::string& pair) {
  const auto begin = seed == 0 ? text : std::to_string(seed) + text;
  return short_hash(pair.empty() ? begin : begin + "\n" + pair);
}

TextDivision::TextDivision(const TextConfig& config, const TextSplitConfig& split, const GenerationConfig* generation)
    : config_(config), split_(split), generation_(generation) {
  for (const auto& name : config.label.names) number_of(name);
  if (!config.label.names.empty() || !config.label.negative_below) return;
  for (const char* name : {"negative", "positive"}) number_of(name);
}

int32_t TextDivision::number_of(const std::string& name) {
  const auto [known, added] = numbers_.emplace(name, std::ssize(names_));
  if (added) names_.push_back(name);
  return known->second;
}

void TextDivision::add(const TextBatch& batch) {
  for (int64_t i = 0; i < batch.size(); i++) {
    Row row = {.source = read_++,
               .labels_begin = std::ssize(classes_),
               .labels = 0,
               .number = batch.numbers.empty() ? 0 : static_cast<float>(batch.numbers[i]),
               .hash = {},
               .group = {},
               .score = batch.scores.empty() ? 0 : batch.scores[i],
               .given = batch.part};
    if (generation_) {
      std::tie(row.hash, row.group) = generator_hashes(batch, i);
    } else {
      row.hash = text_hash(split_.seed, batch.texts[i], batch.pairs.empty() ? "" : batch.pairs[i]);
    }
    if (!batch.classes.empty()) {
      for (const auto& name : batch.classes[i]) classes_.push_back(number_of(name));
      row.labels = static_cast<int32_t>(batch.classes[i].size());
    }
    rows_.push_back(row);
  }
}

RowCounts TextDivision::divide(TextDuplicates duplicates, datasets::Rejects& rejects) {
  if (read_ == 0) rejects.refuse_all();
  RowCounts counts = {.read = read_};
  if (config_.label.names.empty() && !config_.label.negative_below) order_names();
  if (config_.label.kind == LabelKind::regression) names_ = {"value"};
  if (duplicates == TextDuplicates::once) leave_out_repeated(counts);
  if (config_.label.kind == LabelKind::single_label) require_every_class();
  if (generation_ && generation_->best_of) keep_best(counts);
  if (generation_ && generation_->rejected) counts.opposed = count_opposed();
  if (generation_ && split_.method != TextSplit::rows) {
    assign_groups(counts);
  } else {
    assign_parts();
  }
  counts.train = std::ranges::count(rows_, datasets::Part::train, &Row::part);
  counts.validation = std::ranges::count(rows_, datasets::Part::validation, &Row::part);
  counts.test = std::ranges::count(rows_, datasets::Part::test, &Row::part);
  require(counts.train > 0, "nothing is left for training: {} rows were kept{}", rows_.size(),
          counts.groups > 0 ? fmt::format(", which belong to {} {}s (generation.split_by)", counts.groups,
                                          name_of(generation_->split_by))
                            : "");
  return counts;
}

void TextDivision::visit_training(TextSource& again, const std::function<void(std::string_view)>& visit) const {
  std::vector<bool> training(read_);  // by index of the row
  for (const auto& row : rows_) training[row.source] = row.part == datasets::Part::train;
  int64_t place = 0;
  for (TextBatch batch; again.next(batch);) {
    for (int64_t i = 0; i < batch.size(); i++, place++) {
      if (place >= read_ || !training[place]) continue;
      visit(batch.texts[i]);
      if (!batch.pairs.empty()) visit(batch.pairs[i]);
    }
  }
  require(place == read_, "the tables had {} rows on the first read, {} on the second", read_, place);
}

void TextDivision::order_names() {
  const auto sorted = sorted_names(names_);
  for (auto& number : classes_) {
    number = static_cast<int32_t>(std::ranges::find(sorted, names_[number]) - sorted.begin());
  }
  names_ = sorted;
}

void TextDivision::require_every_class() const {
  require(names_.size() > 1, "found {} classes, expected at least 2", names_.size());
  for (int32_t number = 0; number < std::ssize(names_); number++) {
    const auto has = [&](const Row& row) { return classes(row)[0] == number; };
    require(std::ranges::any_of(rows_, has), "the class {} has no rows", names_[number]);
  }
}

// Keeps the first of equal texts, or none if their labels differ.
void TextDivision::leave_out_repeated(RowCounts& counts) {
  std::vector<int64_t> order(rows_.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, {}, [&](int64_t row) { return rows_[row].hash; });
  const auto labels = [&](const Row& row) {
    std::vector<int32_t> mine(classes(row).begin(), classes(row).end());
    std::ranges::sort(mine);
    return std::pair(mine, row.number);
  };
  std::vector<bool> out(rows_.size());
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    const auto& first = rows_[order[begin]];
    bool differ = false;
    for (end = begin + 1; end < order.size() && rows_[order[end]].hash == first.hash; end++) {
      differ = differ || labels(rows_[order[end]]) != labels(first);
      out[order[end]] = true;
    }
    if (differ) out[order[begin]] = true;
    (differ ? counts.contradicting : counts.repeated) += static_cast<int64_t>(differ ? end - begin : end - begin - 1);
  }
  leave_out(out);
}

void TextDivision::leave_out(const std::vector<bool>& out) {
  std::vector<Row> kept;
  for (size_t row = 0; row < out.size(); row++) {
    if (!out[row]) kept.push_back(rows_[row]);
  }
  rows_ = std::move(kept);
}

void TextDivision::assign_parts() {
  const auto rows = std::ssize(rows_);
  const bool by_rows = split_.method == TextSplit::rows;
  const bool stratify = split_.method == TextSplit::stratified && config_.label.kind == LabelKind::single_label;
  double test = split_.test, validation = split_.validation;
  if (by_rows) {
    require(*split_.first_test_row + *split_.test_rows <= rows, "split: test rows {} to {}, but there are {} rows",
            *split_.first_test_row, *split_.first_test_row + *split_.test_rows - 1, rows);
    test = 0;
  }
  std::map<int32_t, std::vector<Row*>> strata;
  for (int64_t i = 0; i < rows; i++) {
    Row& row = rows_[i];
    if (row.given) {
      row.part = *row.given;
    } else if (by_rows && i >= *split_.first_test_row && i < *split_.first_test_row + *split_.test_rows) {
      row.part = datasets::Part::test;
    } else {
      strata[stratify ? classes(row)[0] : 0].push_back(&row);
    }
  }
  for (auto& [name, members] : strata) {
    std::ranges::stable_sort(members, {}, [](const Row* row) { return row->hash; });
    for (int64_t i = 0; i < std::ssize(members); i++) {
      members[i]->part = part_of_rank(i, std::ssize(members), validation, test);
    }
  }
}

}  // namespace sartor::text
