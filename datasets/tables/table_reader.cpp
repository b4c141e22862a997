#include "tables/table_reader.h"

#include <arrow/record_batch.h>
#include <arrow/util/thread_pool.h>

#include <algorithm>
#include <deque>
#include <future>
#include <string_view>
#include <utility>

#include "schema/log.h"
#include "tables/arrow_status.h"
#include "tables/table_file.h"
#include "tables/text_blocks.h"

namespace sartor::datasets {
namespace {

template <class Work> auto submit(Work work) {
  const auto task = std::make_shared<std::packaged_task<decltype(work())()>>(std::move(work));
  check(arrow::internal::GetCpuThreadPool()->Spawn([task] { (*task)(); }), "table reader");
  return task->get_future();
}

class TextFile final : public TableReader::File {
 public:
  TextFile(const std::string& name, const TableLayout& layout)
      : name_(name), layout_(layout), blocks_(name, layout, csv_form(layout)) {
    if (layout_.encoding == TextEncoding::automatic) recognised_ = blocks_.encoding();
    layout_.encoding = blocks_.encoding();
    const bool json = layout.format == TableFormat::jsonl;
    if (json) require_json_lines(name, blocks_.beginning());
    block_ = blocks_.next();
    parser_ = json ? make_json_parser(name, layout_.encoding, block_) : make_delimited_parser(name, layout_, block_);
    records = parser_->header_records();
    if (block_.empty()) block_ = blocks_.next();
  }

  const std::vector<std::string>& columns() const override { return parser_->columns(); }
  void select(const std::vector<TableColumn>& columns) override { parser_->select(columns); }
  std::optional<TextEncoding> recognised() const override { return recognised_; }

  bool next(ParsedBlock& block, std::optional<int64_t> wanted) override {
    const size_t ahead = arrow::GetCpuThreadPoolCapacity() + 1;
    while (!block_.empty() && parsing_.size() < ahead && (!wanted || being_parsed_ < *wanted)) parse_ahead(wanted);
    if (parsing_.empty()) return false;
    auto [records, parsed] = std::move(parsing_.front());
    parsing_.pop_front();
    being_parsed_ -= records;
    block = parsed.get();
    return true;
  }

  int64_t skip(int64_t records) override {
    int64_t skipped = 0;
    while (skipped < records && !block_.empty() && parsing_.empty()) {
      const auto first = parser_->first_records(rest(), records - skipped);
      if (!first) break;
      skipped += first->count;
      advance(first->bytes);
    }
    return skipped;
  }

  bool ended() const override { return block_.empty() && parsing_.empty(); }

 private:
  struct Parsing {
    int64_t records;  // 0 if they were not counted
    std::future<ParsedBlock> block;
  };

  std::string_view rest() const { return std::string_view(block_).substr(used_); }

  void advance(size_t bytes) {
    used_ += bytes;
    if (used_ < block_.size()) return;
    block_ = blocks_.next();
    used_ = 0;
  }

  // Removes and returns the first bytes of the rest.
  std::string take(size_t bytes) {
    auto text = bytes == block_.size() ? std::move(block_) : std::string(rest().substr(0, bytes));
    advance(bytes);
    return text;
  }

  void parse_ahead(std::optional<int64_t> wanted) {
    FirstRecords first = {0, rest().size()};
    if (wanted) {
      const int64_t most = *wanted - being_parsed_;
      first = parser_->first_records(rest(), most).value_or(FirstRecords{most, rest().size()});
    }
    auto text = take(first.bytes);
    std::string group = group_;
    if (layout_.format == TableFormat::netflix) group_ = last_netflix_group(text, std::move(group_));
    being_parsed_ += first.count;
    parsing_.push_back(
        {first.count, submit([parser = parser_, text = std::move(text), group = std::move(group)]() mutable {
           return parser->parse(std::move(text), group);
         })});
  }

  std::string name_;
  TableLayout layout_;
  TextBlocks blocks_;
  std::optional<TextEncoding> recognised_;
  std::string block_;  // the block that is read; empty at the end
  size_t used_ = 0;    // bytes of it that were parsed or skipped
  std::string group_;  // Netflix: movie of its first record
  std::shared_ptr<TextParser> parser_;
  std::deque<Parsing> parsing_;
  int64_t being_parsed_ = 0;  // records in parsing_, of those that were counted
};

}  // namespace

TableReader::TableReader(const TableConfig& config, Rejects* rejects)
    : config_(config), rejects_(rejects), files_(table_files(config)), watched_(files_) {
  open_next();
}

TableReader::~TableReader() = default;

const std::vector<std::string>& TableReader::columns() const { return file_->columns(); }

int64_t TableReader::records() const { return earlier_records_ + file_->records; }

const std::string& TableReader::file() const { return files_[opened_ - 1]; }

void TableReader::select(std::vector<TableColumn> columns) {
  for (const TableColumn& column : columns) require_column(file(), column.name, file_->columns());
  selected_ = std::move(columns);
  file_->select(selected_);
}

template <class Read> auto TableReader::watched(const Read& read) const {
  try {
    return read();
  } catch (...) {
    watched_.check();
    throw;
  }
}

bool TableReader::next(TableBatch& batch) {
  const bool more = watched([&] { return read_next(batch); });
  if (!more) watched_.check();
  return more;
}

int64_t TableReader::skip(int64_t records) {
  return watched([&] {
    int64_t skipped = 0;
    do {
      const int64_t more = file_->skip(records - skipped);
      skipped += more;
      file_->records += more;
    } while (skipped < records && file_->ended() && follow());
    return skipped;
  });
}

bool TableReader::follow() {
  if (opened_ == files_.size()) return false;
  earlier_records_ += std::exchange(file_->records, 0);
  open_next();
  select(std::exchange(selected_, {}));
  return true;
}

bool TableReader::read_next(TableBatch& batch) {
  ParsedBlock block;
  while (!file_->next(block, wanted_)) {
    if (!follow()) return false;
  }
  if (wanted_) wanted_ = std::max<int64_t>(*wanted_ - block.total, 1);
  const int64_t first = file_->records + 1;
  batch = {file(), std::move(block.records), std::move(block.columns), std::move(block.bad), earlier_records_};
  for (int64_t& row : batch.rows) row += first;
  for (BadRecord& bad : batch.bad) bad.record += first;
  if (rejects_) {
    for (const BadRecord& bad : std::exchange(batch.bad, {})) rejects_->add(file(), bad.record, bad.reason, bad.text);
  }
  file_->records += block.total;
  return true;
}

void TableReader::open_next() {
  const std::string& name = files_[opened_++];
  const TableLayout layout = layout_of(config_, name);
  if (layout.format == TableFormat::parquet) {
    file_ = open_parquet(name);
  } else {
    file_ = std::make_unique<TextFile>(name, layout);
  }
  const auto recognised = file_->recognised();
  if (recognised && std::exchange(recognised_, recognised) != recognised) {
    log_info("{} is read as {}", name, name_of(*recognised));
  }
}

}  // namespace sartor::datasets
