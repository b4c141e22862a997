#include "copy/copy_results.h"

#include <algorithm>

namespace sartor::inference {
namespace {

constexpr int64_t most_distinct_texts = 100'000;  // bounds the memory for distinct-n

// All choices of an enum, also those that did not occur.
template <Enum E> Record counts_of(const std::map<std::string, int64_t, std::less<>>& counts) {
  auto json = Record::object();
  for (const auto& [name, value] : choices(E{})) {
    const auto found = counts.find(name);
    json[std::string(name)] = found == counts.end() ? 0 : found->second;
  }
  return json;
}

Record json_of(const privacy::MaskCounts& counts) {
  auto json = Record::object();
  for (size_t kind = 0; kind < privacy::kind_names.size(); kind++) {
    json[std::string(privacy::kind_names[kind])] = counts.counts[kind];
  }
  return json;
}

}  // namespace

void CopyResults::add(const CopyRecord& record) {
  if (record.first_of_row) {
    end_row();
    rows_++;
    masked_ += record.masked;
    masked_prompts_ += record.masked.total() > 0;
  }
  for (auto rest = record.rejected; !rest.empty();) {
    const auto end = std::min(rest.find('|'), rest.size());
    verdicts_[std::string(rest.substr(0, end))]++;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  replaced_ += record.fate == Fate::replaced;
  dropped_ += record.fate == Fate::dropped;
  if (record.fate != Fate::written) return;
  texts_++;
  passed_ += record.rejected.empty();
  tokens_ += record.tokens;
  log_probability_ += record.log_probability;
  ends_[std::string(record.end)]++;
  privacy::mask(record.text, in_texts_);
  if (texts_ <= most_distinct_texts) ngrams_.add(record.text);
  row_texts_.emplace_back(record.text);
}

void CopyResults::end_row() {
  if (row_texts_.size() > 1) {
    self_bleu_ += text_metrics::self_bleu(row_texts_);
    compared_rows_++;
  }
  row_texts_.clear();
}

Record CopyResults::json() {
  end_row();
  Record masked = {{"prompts", masked_prompts_}};
  masked.update(json_of(masked_));
  Record json = {{"rows", rows_},
                 {"texts", texts_},
                 {"passed", passed_},
                 {"replaced", replaced_},
                 {"dropped", dropped_},
                 {"ends", counts_of<EndReason>(ends_)},
                 {"verdicts", counts_of<Verdict>(verdicts_)},
                 {"masked", masked},
                 {"personal_data_in_texts", json_of(in_texts_)},
                 {"tokens", tokens_}};
  json["tokens_per_text"] = texts_ > 0 ? Record(static_cast<double>(tokens_) / texts_) : Record();
  json["log_probability_per_token"] = tokens_ > 0 ? Record(log_probability_ / tokens_) : Record();
  for (int64_t n = 1; n <= ngrams_.max_n(); n++) json[fmt::format("distinct_{}", n)] = ngrams_.value(n);
  json["self_bleu"] = compared_rows_ > 0 ? Record(self_bleu_ / static_cast<double>(compared_rows_)) : Record();
  return json;
}

}  // namespace sartor::inference
