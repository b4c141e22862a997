#include "interactions/collect.h"

#include <algorithm>
#include <cmath>
#include <future>
#include <numeric>

#include "interactions/spill.h"

namespace sartor::datasets {
namespace {

constexpr int64_t ahead = 16;  // ratings between the prefetch and the use of a hash slot or row

// The place of a rating, for messages: file index << row_bits | row.
constexpr int row_bits = 40;

class Collector {
 public:
  Collector(const CleaningConfig& config, const std::filesystem::path& scratch) : config_(config), spill_(scratch) {}

  Interactions collect(RatingSource& source) && {
    read(source);
    place_by_user();
    sort_and_merge();
    return std::move(data_);
  }

 private:
  // Reads the next batch while the current one is indexed.
  void read(RatingSource& source) {
    RatingBatch batch, next;
    const auto read_next = [&] { return std::async(std::launch::async, [&] { return source.next(next); }); };
    for (auto more = read_next(); more.get();) {
      std::swap(batch, next);
      more = read_next();
      add(batch, source.has_times());
    }
    require(data_.received > 0, "there are no ratings");
  }

  void add(RatingBatch& batch, bool has_times) {
    const int64_t size = batch.size();
    block_.users.resize(size);
    block_.items.resize(size);
    for (int64_t i = 0; i < size; i++) {
      if (i + ahead < size) {
        data_.users.prefetch(batch.users[i + ahead]);
        data_.items.prefetch(batch.items[i + ahead]);
      }
      block_.users[i] = data_.users.insert(batch.users[i]);
      block_.items[i] = data_.items.insert(batch.items[i]);
    }
    counts_.resize(data_.users.size());
    for (const int32_t user : block_.users) counts_[user]++;
    std::swap(block_.values, batch.values);
    if (has_times) std::swap(block_.times, batch.times);
    if (config_.duplicates == Duplicates::error) {
      if (files_.empty() || files_.back() != batch.file) files_.push_back(batch.file);
      std::swap(block_.places, batch.rows);
      for (int64_t& place : block_.places) place |= (std::ssize(files_) - 1) << row_bits;
    }
    spill_.write(block_);
    data_.received += size;
    has_times_ = has_times;
  }

  void place_by_user() {
    data_.offsets.assign(counts_.size() + 1, 0);
    std::inclusive_scan(counts_.begin(), counts_.end(), data_.offsets.begin() + 1);
    std::exclusive_scan(counts_.begin(), counts_.end(), counts_.begin(), int64_t(0));
    data_.ratings.resize(data_.received);
    if (has_times_) data_.times.resize(data_.received);
    int64_t order = 0;
    for (spill_.rewind(); spill_.read(block_);) {
      const int64_t size = std::ssize(block_.users);
      for (int64_t i = 0; i < size; i++) {
        if (i + ahead < size) {
          const int64_t soon = counts_[block_.users[i + ahead]];
          __builtin_prefetch(&data_.ratings[soon], 1);
          if (has_times_) __builtin_prefetch(&data_.times[soon], 1);
        }
        const int64_t at = counts_[block_.users[i]]++;
        data_.ratings[at] = {order++, block_.items[i], block_.values[i]};
        if (has_times_) data_.times[at] = block_.times[i];
      }
    }
    counts_ = {};
  }

  void sort_and_merge() {
    int64_t kept = 0;
    for (size_t user = 0; user + 1 < data_.offsets.size(); user++) {
      const int64_t begin = std::exchange(data_.offsets[user], kept), end = data_.offsets[user + 1];
      kept = merge_row(begin, end, kept);
    }
    data_.offsets.back() = kept;
    data_.ratings.resize(kept);
    if (has_times_) data_.times.resize(kept);
    const auto [least, most] = std::ranges::minmax_element(data_.ratings, {}, &Rating::value);
    data_.lowest = least->value;
    data_.highest = most->value;
    require(std::isfinite(data_.lowest) && std::isfinite(data_.highest), "the sum of duplicates is not finite");
  }

  // Sorts and merges the ratings [begin, end) of a user and moves them to `to`; returns their new end.
  int64_t merge_row(int64_t begin, int64_t end, int64_t to) {
    keys_.clear();
    for (int64_t i = begin; i < end; i++) keys_.push_back(uint64_t(data_.ratings[i].item) << 32 | (i - begin));
    std::ranges::sort(keys_);  // by item, then by order
    row_.assign(&data_.ratings[begin], data_.ratings.data() + end);
    if (has_times_) row_times_.assign(&data_.times[begin], data_.times.data() + end);
    for (size_t i = 0; i < keys_.size();) {
      size_t next = i + 1;
      while (next < keys_.size() && keys_[next] >> 32 == keys_[i] >> 32) next++;
      const size_t last = next == i + 1 ? uint32_t(keys_[i]) : merge(i, next);
      data_.ratings[to] = row_[last];
      if (has_times_) data_.times[to] = row_times_[last];
      to++;
      i = next;
    }
    return to;
  }

  // Merges ratings of one item, keys [begin, end) of the row, into the last of them; returns its index in the row.
  size_t merge(size_t begin, size_t end) {
    if (config_.duplicates == Duplicates::error) refuse(row_[uint32_t(keys_[begin])], row_[uint32_t(keys_[begin + 1])]);
    size_t last = uint32_t(keys_[begin]);
    double sum = 0;
    for (size_t i = begin; i < end; i++) {
      const size_t here = uint32_t(keys_[i]);
      if (!has_times_ || row_times_[here] >= row_times_[last]) last = here;
      sum += row_[here].value;
    }
    if (config_.duplicates == Duplicates::sum) row_[last].value = sum;
    if (config_.duplicates == Duplicates::mean) row_[last].value = sum / (end - begin);
    return last;
  }

  [[noreturn]] void refuse(const Rating& first, const Rating& second) {
    std::string user, places[2];
    int64_t order = 0;
    for (spill_.rewind(); spill_.read(block_); order += std::ssize(block_.users)) {
      for (const Rating* rating : {&first, &second}) {
        const int64_t at = rating->order - order;
        if (at < 0 || at >= std::ssize(block_.users)) continue;
        user = data_.users[block_.users[at]];
        const int64_t place = block_.places[at];
        places[rating == &second] =
            fmt::format("{}: row {}", files_[place >> row_bits], place & ((int64_t(1) << row_bits) - 1));
      }
    }
    throw std::invalid_argument(fmt::format("{}: user {} rated item {} before, at {} (duplicates is error)", places[1],
                                            user, data_.items[first.item], places[0]));
  }

  CleaningConfig config_;
  Spill spill_;
  Interactions data_;
  bool has_times_ = false;
  std::vector<int64_t> counts_;     // ratings per user while reading, then the next position of each user
  std::vector<std::string> files_;  // files read so far; used with Duplicates::error only
  SpillBlock block_;
  std::vector<uint64_t> keys_;  // of one user: item << 32 | index in the row
  std::vector<Rating> row_;
  std::vector<int64_t> row_times_;
};

}  // namespace

Interactions collect(RatingSource& source, const CleaningConfig& config, const std::filesystem::path& scratch) {
  return Collector(config, scratch).collect(source);
}

}  // namespace sartor::datasets
