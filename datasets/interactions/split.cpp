#include "interactions/split.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "base/random.h"

namespace sartor::datasets {
namespace {

uint64_t scaled(uint64_t bits, uint64_t bound) { return static_cast<unsigned __int128>(bits) * bound >> 64; }

// Numbers of ratings (or users) per part out of `all`.
struct Sizes {
  int64_t test, validation, train;

  Sizes(int64_t all, const SplitConfig& config, const char* what) {
    test = std::ceil(all * config.test);
    validation = std::ceil(all * config.validation);
    train = all - test - validation;
    require(train > 0, "split: of {} {}, {} for test and {} for validation leave none for training", all, what, test,
            validation);
  }
};

class Divider {
 public:
  Divider(const RatingsByUser& ratings, const SplitConfig& config)
      : ratings_(ratings), config_(config), parts_(ratings.ratings.size()) {}

  std::vector<Part> divide() && {
    switch (config_.method) {
      case SplitMethod::random:
        at_random();
        break;
      case SplitMethod::stratified:
        stratified();
        break;
      case SplitMethod::temporal:
        temporal();
        break;
      case SplitMethod::leave_last_out:
        leave_last_out();
        break;
      case SplitMethod::user_disjoint:
        user_disjoint();
        break;
      case SplitMethod::rows:
      case SplitMethod::files:
        rows();
        break;
    }
    return std::move(parts_);
  }

 private:
  int64_t users() const { return std::ssize(ratings_.offsets) - 1; }
  int64_t size() const { return std::ssize(parts_); }

  // Moves `count` of the `left` training ratings among parts[begin .. end) to `part`, each choice equally likely
  // (selection sampling, Knuth 3.4.2).
  void choose(std::vector<Part>& parts, int64_t begin, int64_t end, int64_t left, int64_t count, Part part) const {
    const uint64_t seed = splitmix64(config_.seed, uint64_t(part));
    for (int64_t i = begin; i < end && count > 0; i++) {
      if (parts[i] != Part::train) continue;
      if (int64_t(scaled(splitmix64(seed, i), left--)) >= count) continue;
      parts[i] = part;
      count--;
    }
  }

  void at_random() {
    const Sizes sizes(size(), config_, "ratings");
    choose(parts_, 0, size(), size(), sizes.test, Part::test);
    choose(parts_, 0, size(), size() - sizes.test, sizes.validation, Part::validation);
  }

  void user_disjoint() {
    const Sizes sizes(users(), config_, "users");
    std::vector<Part> of_user(users());
    choose(of_user, 0, users(), users(), sizes.test, Part::test);
    choose(of_user, 0, users(), users() - sizes.test, sizes.validation, Part::validation);
    for (int64_t user = 0; user < users(); user++) {
      std::fill(&parts_[ratings_.offsets[user]], parts_.data() + ratings_.offsets[user + 1], of_user[user]);
    }
  }

  // Distributes `count` of `all` ratings evenly along the sequence of users: each user's number differs by less than
  // one from the exact share.
  struct Quota {
    unsigned __int128 all, count, phase;
    int64_t walked = 0;

    Quota(int64_t all, int64_t count, uint64_t bits) : all(all), count(count), phase(scaled(bits, all)) {}
    int64_t next(int64_t ratings) {
      const int64_t before = (walked * count + phase) / all;
      walked += ratings;
      return int64_t((walked * count + phase) / all) - before;
    }
  };

  void stratified() {
    const Sizes sizes(size(), config_, "ratings");
    Quota test(size(), sizes.test, splitmix64(config_.seed, 3));
    Quota validation(size() - sizes.test, sizes.validation, splitmix64(config_.seed, 4));
    for (int64_t user = 0; user < users(); user++) {
      const int64_t begin = ratings_.offsets[user], end = ratings_.offsets[user + 1];
      const int64_t tested = test.next(end - begin);
      choose(parts_, begin, end, end - begin, tested, Part::test);
      choose(parts_, begin, end, end - begin - tested, validation.next(end - begin - tested), Part::validation);
    }
  }

  struct Moment {
    int64_t time, order;
    auto operator<=>(const Moment&) const = default;
  };
  Moment moment(int64_t i) const { return {ratings_.times.empty() ? 0 : ratings_.times[i], ratings_.ratings[i].order}; }

  // The key of `rank` (from 0) among the ratings with counts(i), by radix selection in four passes without a copy.
  template <class Key, class Counts> int64_t key_of_rank(int64_t rank, Key key, Counts counts) const {
    uint64_t found = 0;
    for (int shift = 48; shift >= 0; shift -= 16) {
      std::vector<int64_t> having(1 << 16);
      for (int64_t i = 0; i < size(); i++) {
        if (!counts(i)) continue;
        const uint64_t bits = uint64_t(key(i)) ^ uint64_t(1) << 63;  // keeps the order of signed keys
        if (shift == 48 || bits >> (shift + 16) == found) having[bits >> shift & 0xffff]++;
      }
      uint64_t digit = 0;
      for (; rank >= having[digit]; digit++) rank -= having[digit];
      found = found << 16 | digit;
    }
    return found ^ uint64_t(1) << 63;
  }

  // The moment of the rating with `rank` earlier ones.
  Moment moment_of_rank(int64_t rank) const {
    const int64_t time = key_of_rank(
        rank, [&](int64_t i) { return ratings_.times[i]; }, [](int64_t) { return true; });
    const int64_t earlier = std::ranges::count_if(ratings_.times, [&](int64_t other) { return other < time; });
    const int64_t order = key_of_rank(
        rank - earlier, [&](int64_t i) { return ratings_.ratings[i].order; },
        [&](int64_t i) { return ratings_.times[i] == time; });
    return {time, order};
  }

  void temporal() {
    require(!ratings_.times.empty(), "split: method temporal needs ratings with a time column");
    const Sizes sizes(size(), config_, "ratings");
    const Moment never{INT64_MAX, INT64_MAX};
    const Moment test = sizes.test ? moment_of_rank(size() - sizes.test) : never;
    const Moment validation = sizes.validation ? moment_of_rank(sizes.train) : test;
    for (int64_t i = 0; i < size(); i++) {
      const Moment now = moment(i);
      parts_[i] = now < validation ? Part::train : now < test ? Part::validation : Part::test;
    }
  }

  void leave_last_out() {
    require(users() < size(), "split: leave_last_out needs a user with at least two ratings");
    for (int64_t user = 0; user < users(); user++) {
      const int64_t begin = ratings_.offsets[user], end = ratings_.offsets[user + 1];
      int64_t left = end - begin;
      for (const Part part : {Part::test, Part::validation}) {
        if (left-- < 2 || (part == Part::validation && config_.validation == 0)) break;
        int64_t last = -1;
        for (int64_t i = begin; i < end; i++) {
          if (parts_[i] == Part::train && (last < 0 || moment(last) < moment(i))) last = i;
        }
        parts_[last] = part;
      }
    }
  }

  void rows() {
    const int64_t first = config_.first_test_row.value(), end = first + config_.test_rows.value();
    require(end <= ratings_.received, "split: test rows {} to {} requested, the source has ratings 0 to {}", first,
            end - 1, ratings_.received - 1);
    int64_t left = size();
    for (int64_t i = 0; i < size(); i++) {
      const int64_t order = ratings_.ratings[i].order;
      if (order < first || order >= end) continue;
      parts_[i] = Part::test;
      left--;
    }
    const int64_t validation = std::ceil(left * config_.validation);
    require(left > validation, "split: of {} ratings, {} for test and {} for validation leave none for training",
            size(), size() - left, validation);
    choose(parts_, 0, size(), left, validation, Part::validation);
  }

  const RatingsByUser& ratings_;
  const SplitConfig& config_;
  std::vector<Part> parts_;
};

}  // namespace

std::vector<Part> divide(const RatingsByUser& ratings, const SplitConfig& config) {
  return Divider(ratings, config).divide();
}

}  // namespace sartor::datasets
