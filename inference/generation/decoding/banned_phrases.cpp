#include "generation/decoding/banned_phrases.h"

#include <algorithm>
#include <set>

#include "base/require.h"

namespace sartor::inference {

TokenSequences tokenize_phrases(const text::Tokenizer& tokenizer, const std::vector<std::string>& phrases,
                                std::span<const int32_t> end_ids) {
  TokenSequences banned;
  std::set<std::vector<int32_t>> known;
  for (size_t i = 0; i < phrases.size(); i++) {
    for (const auto& text : {phrases[i], " " + phrases[i]}) {
      const auto ids = tokenizer.encode(text, {.special_tokens = false}).ids;
      require(!ids.empty(), "banned_phrases[{}] is '{}', which has no tokens", i, phrases[i]);
      if (ids.size() == 1 && std::ranges::find(end_ids, ids[0]) != end_ids.end()) continue;
      if (!known.insert(ids).second) continue;
      banned.ids.insert(banned.ids.end(), ids.begin(), ids.end());
      banned.offsets.push_back(static_cast<int32_t>(banned.ids.size()));
    }
  }
  return banned;
}

}  // namespace sartor::inference
