// Packing against a naive search.
#include "tasks/generators/packs.h"

#include <gmock/gmock.h>

#include <chrono>

#include "base/random.h"

namespace sartor {
namespace {

using Packs = std::vector<std::vector<int64_t>>;

// Looks through all packs for each text. The pack that has had its space for the longest time wins ties.
Packs naive_packs(const std::vector<int32_t>& lengths, int64_t pack_length) {
  struct Pack {
    std::vector<int64_t> texts;
    int64_t space, changed;
  };
  std::vector<Pack> packs;
  int64_t time = 0;
  for (int64_t length = pack_length; length > 0; length--) {
    for (int64_t text = 0; text < std::ssize(lengths); text++) {
      if (lengths[text] != length) continue;
      Pack* best = nullptr;
      for (auto& pack : packs) {
        if (pack.space < length) continue;
        if (!best || std::pair(pack.space, pack.changed) < std::pair(best->space, best->changed)) best = &pack;
      }
      if (!best) best = &packs.emplace_back(Pack{.space = pack_length, .changed = 0});
      best->texts.push_back(text);
      best->space -= length;
      best->changed = ++time;
    }
  }
  Packs found;
  for (const auto& pack : packs) found.push_back(pack.texts);
  return found;
}

TEST(Packs, AreThoseOfANaiveSearch) {
  EXPECT_EQ(best_fit_packs({}, 4), Packs());
  EXPECT_EQ(best_fit_packs(std::vector<int32_t>{5, 2, 3, 1}, 5), Packs({{0}, {2, 1}, {3}}));
  for (uint64_t seed = 0; seed < 200; seed++) {
    const auto pack_length = static_cast<int64_t>(1 + random_bits(seed, 0) % 30);
    std::vector<int32_t> lengths(random_bits(seed, 1) % 60);
    for (size_t i = 0; i < lengths.size(); i++) {
      lengths[i] = static_cast<int32_t>(1 + random_bits(seed, i + 2) % pack_length);
    }
    EXPECT_EQ(best_fit_packs(lengths, pack_length), naive_packs(lengths, pack_length)) << seed;
  }
}

TEST(Packs, AMillionTextsArePackedAtOnce) {
  std::vector<int32_t> lengths(1'000'000);
  for (size_t i = 0; i < lengths.size(); i++) lengths[i] = static_cast<int32_t>(1 + random_bits(1, i) % 2000);
  const auto packs = best_fit_packs(lengths, 2048);
  int64_t texts = 0, tokens = 0;
  for (const auto& pack : packs) {
    for (const auto text : pack) tokens += lengths[text];
    texts += std::ssize(pack);
  }
  EXPECT_EQ(texts, 1'000'000);
  EXPECT_GT(static_cast<double>(tokens) / static_cast<double>(std::ssize(packs) * 2048), 0.99);
}

}  // namespace
}  // namespace sartor
