#include "tables/table_reader.h"

#include <arrow/record_batch.h>
#include <arrow/util/thread_pool.h>

#include <deque>
#include <future>
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

  bool next(ParsedBlock& block) override {
    const size_t ahead = arrow::GetCpuThreadPoolCapacity() + 1;
    while (!block_.empty() && parsing_.size() < ahead) parse_ahead();
    if (parsing_.empty()) return false;
    block = parsing_.front().get();
    parsing_.pop_front();
    return true;
  }

 private:
  void parse_ahead() {
    std::string group = group_;
    if (layout_.format == TableFormat::netflix) group_ = last_netflix_group(block_, std::move(group_));
    parsing_.push_back(submit([parser = parser_, text = std::move(block_), group = std::move(group)]() mutable {
      return parser->parse(std::move(text), group);
    }));
    block_ = blocks_.next();
  }

  std::string name_;
  TableLayout layout_;
  TextBlocks blocks_;
  std::optional<TextEncoding> recognised_;
  std::string block_;  // next block to parse; empty at the end
  std::string group_;  // Netflix: movie of its first record
  std::shared_ptr<TextParser> parser_;
  std::deque<std::future<ParsedBlock>> parsing_;
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

bool TableReader::next(TableBatch& batch) {
  bool more = false;
  try {
    more = read_next(batch);
  } catch (...) {
    watched_.check();
    throw;
  }
  if (!more) watched_.check();
  return more;
}

bool TableReader::read_next(TableBatch& batch) {
  ParsedBlock block;
  while (!file_->next(block)) {
    if (opened_ == files_.size()) return false;
    earlier_records_ += std::exchange(file_->records, 0);
    open_next();
    select(std::exchange(selected_, {}));
  }
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
