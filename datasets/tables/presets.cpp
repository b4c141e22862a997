#include "tables/presets.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "encodings/printable.h"
#include "schema/messages.h"

namespace sartor::datasets {
namespace {

using Names = std::vector<std::string>;

// Files of public data sets by name; the first matching pattern counts, so specific patterns come first. Of several
// mappings, the first whose columns are all in the file is used.
struct KnownFiles {
  TablePreset preset;
  const char* pattern;
  TableFormat format;
  bool header = false;
  std::optional<std::string> quote = {};
  TextEncoding encoding = TextEncoding::utf8;
  Names column_names = {};
  std::vector<ColumnsConfig> ratings = {};
  std::vector<ItemColumns> items = {};
};

const std::vector<KnownFiles>& known_files() {
  const ColumnsConfig movielens{"user_id", "item_id", "rating", "timestamp", TimeUnit::seconds};
  static const std::vector<KnownFiles> files = {
      // MovieLens 100K. https://files.grouplens.org/datasets/movielens/ml-100k-README.txt
      {.preset = TablePreset::movielens,
       .pattern = "*.item",
       .format = TableFormat::pipe,
       .encoding = TextEncoding::latin1,
       .column_names = {"item_id",     "title",     "release_date", "video_release_date", "imdb_url", "unknown",
                        "Action",      "Adventure", "Animation",    "Children's",         "Comedy",   "Crime",
                        "Documentary", "Drama",     "Fantasy",      "Film-Noir",          "Horror",   "Musical",
                        "Mystery",     "Romance",   "Sci-Fi",       "Thriller",           "War",      "Western"},
       .items = {{"item_id", {"title", "release_date"}}}},
      // MovieLens 1M (latin-1) and 10M (UTF-8).
      {.preset = TablePreset::movielens,
       .pattern = "movies.dat",
       .format = TableFormat::double_colon,
       .encoding = TextEncoding::automatic,
       .column_names = {"item_id", "title", "genres"},
       .items = {{"item_id", {"title", "genres"}}}},
      {.preset = TablePreset::movielens,
       .pattern = "*.dat",
       .format = TableFormat::double_colon,
       .column_names = {"user_id", "item_id", "rating", "timestamp"},
       .ratings = {movielens}},
      // MovieLens 20M, 25M, 32M and latest.
      {.preset = TablePreset::movielens,
       .pattern = "*.csv",
       .format = TableFormat::csv,
       .header = true,
       .ratings = {{"userId", "movieId", "rating", "timestamp", TimeUnit::seconds}},
       .items = {{"movieId", {"title", "genres"}}}},
      // u.data, u1.base, u1.test, ...
      {.preset = TablePreset::movielens,
       .pattern = "*",
       .format = TableFormat::tsv,
       .quote = "",
       .column_names = {"user_id", "item_id", "rating", "timestamp"},
       .ratings = {movielens}},
      // RecBole's atomic files: typed column names, tab-separated.
      {.preset = TablePreset::recbole,
       .pattern = "*",
       .format = TableFormat::tsv,
       .header = true,
       .ratings = {movielens, {"user_id", "item_id", "rating", "", TimeUnit::seconds}},
       .items = {{"item_id", {"movie_title", "release_year", "class"}}, {"item_id", {"title"}}, {"item_id", {"name"}}}},
      // Netflix Prize: training_set/mv_*.txt, combined_data_*.txt.
      {.preset = TablePreset::netflix,
       .pattern = "*",
       .format = TableFormat::netflix,
       .ratings = {{"customer", "movie", "rating", "date", TimeUnit::seconds}}},
      // Amazon Reviews 2014, 2018 and 2023. https://amazon-reviews-2023.github.io
      {.preset = TablePreset::amazon_reviews,
       .pattern = "*",
       .format = TableFormat::jsonl,
       .ratings = {{"reviewerID", "asin", "overall", "unixReviewTime", TimeUnit::seconds},
                   {"user_id", "parent_asin", "rating", "timestamp", TimeUnit::milliseconds},
                   {"user_id", "asin", "rating", "timestamp", TimeUnit::milliseconds}},
       .items = {{"parent_asin", {"title"}}, {"asin", {"title"}}}},
  };
  return files;
}

// The file name without folder and compression suffix: "ratings.csv" for "data/ratings.csv.gz".
std::string plain_name(const std::string& file) {
  const std::filesystem::path name = std::filesystem::path(file).filename();
  const std::string ending = ending_of(name);
  return ending == ".gz" || ending == ".bz2" || ending == ".zst" ? name.stem() : name;
}

const KnownFiles* known_file(TablePreset preset, const std::string& file) {
  const std::string name = plain_name(file);
  const auto known = std::ranges::find_if(known_files(), [&](const KnownFiles& files) {
    return files.preset == preset && fnmatch(files.pattern, name.c_str(), FNM_CASEFOLD) == 0;
  });
  return known == known_files().end() ? nullptr : &*known;
}

TableFormat format_by_name(const std::string& file) {
  static constexpr auto endings = std::to_array<Choice<TableFormat>>({{".csv", TableFormat::csv},
                                                                      {".tsv", TableFormat::tsv},
                                                                      {".tab", TableFormat::tsv},
                                                                      {".jsonl", TableFormat::jsonl},
                                                                      {".ndjson", TableFormat::jsonl},
                                                                      {".json", TableFormat::jsonl},
                                                                      {".parquet", TableFormat::parquet}});
  const std::string ending = ending_of(plain_name(file));
  const auto found = std::ranges::find(endings, ending, &Choice<TableFormat>::first);
  require(found != endings.end(), "{}: cannot infer the format from the name; set format or preset", file);
  return found->second;
}

std::string default_separator(TableFormat format) {
  switch (format) {
    case TableFormat::tsv:
      return "\t";
    case TableFormat::double_colon:
      return "::";
    case TableFormat::pipe:
      return "|";
    default:
      return ",";
  }
}

std::string joined(const Names& names) {
  std::string text;
  for (const std::string& name : names) (text += text.empty() ? "" : ", ") += printable(name, 100);
  return text;
}

bool has(const Names& names, const std::string& name) { return std::ranges::count(names, name) > 0; }

}  // namespace

TableLayout layout_of(const TableConfig& config, const std::string& file) {
  const KnownFiles* known = known_file(config.preset, file);
  TableFormat format = config.format;
  if (format == TableFormat::automatic) format = known ? known->format : format_by_name(file);

  require(config.decimal == DecimalMark::point || format != TableFormat::jsonl,
          "{}: decimal is a comma, but JSON numbers use a point", file);
  TableLayout layout;
  const bool bare = format == TableFormat::double_colon || format == TableFormat::pipe;
  layout.separator = default_separator(format);
  if (bare) layout.quote.clear();
  layout.format = bare || format == TableFormat::tsv ? TableFormat::csv : format;
  layout.header = layout.format == TableFormat::csv && !bare && config.column_names.empty();
  if (known) {
    layout.header = known->header && config.column_names.empty();
    layout.column_names = known->column_names;
    layout.encoding = known->encoding;
    if (known->encoding != TextEncoding::utf8) layout.otherwise = TextEncoding::latin1;
    layout.quote = known->quote.value_or(layout.quote);
    layout.typed_header = config.preset == TablePreset::recbole;
  }
  if (!config.column_names.empty()) layout.column_names = config.column_names;
  layout.separator = config.separator.value_or(layout.separator);
  layout.quote = config.quote.value_or(layout.quote);
  layout.header = config.header.value_or(layout.header);
  layout.encoding = config.encoding.value_or(layout.encoding);
  if (layout.header) layout.column_names.clear();
  if (layout.separator.size() > 1 && !config.quote) layout.quote.clear();
  require(layout.separator.size() == 1 || layout.quote.empty(),
          "{}: quote needs a separator of one character, not '{}'", file, layout.separator);
  return layout;
}

void require_column(const std::string& file, const std::string& name, const Names& available) {
  const auto count = std::ranges::count(available, name);
  const std::vector<std::string_view> known(available.begin(), available.end());
  require(!available.empty(), "{}: no column '{}', the file is empty", file, printable(name, 100));
  require(count > 0, "{}: no column '{}'{}; its columns are {}", file, name, did_you_mean(name, known),
          joined(available));
  require(count == 1, "{}: column '{}' occurs {} times", file, name, count);
}

ColumnsConfig rating_columns(const RatingsConfig& config, const std::string& file, const Names& available) {
  const KnownFiles* known = known_file(config.table.preset, file);
  std::vector<ColumnsConfig> mappings = known ? known->ratings : std::vector<ColumnsConfig>{};
  if (mappings.empty()) mappings.emplace_back();
  const auto overridden = [](auto& field, const auto& given) {
    if (given) field = given;
  };
  for (ColumnsConfig& mapping : mappings) {
    overridden(mapping.user, config.columns.user);
    overridden(mapping.item, config.columns.item);
    overridden(mapping.value, config.columns.value);
    overridden(mapping.time, config.columns.time);
    overridden(mapping.time_unit, config.columns.time_unit);
    if (!mapping.value && config.fill) mapping.value = "";
    if (!mapping.time) mapping.time = "";
  }
  const auto in_file = [&](const std::optional<std::string>& name) {
    return name && (name->empty() || has(available, *name));
  };
  const auto fits = [&](const ColumnsConfig& mapping) {
    return in_file(mapping.user) && in_file(mapping.item) && in_file(mapping.value) && in_file(mapping.time);
  };
  const auto fitting = std::ranges::find_if(mappings, fits);
  const ColumnsConfig& columns = fitting == mappings.end() ? mappings.front() : *fitting;
  for (const auto& [role, name] : {std::pair("user", columns.user), {"item", columns.item}, {"value", columns.value}}) {
    require(name && (!name->empty() || role == std::string_view("value")),
            "columns.{} is not given; {} has the columns {}", role, file, joined(available));
  }
  for (const auto& name : {columns.user, columns.item, columns.value, columns.time}) {
    if (!name->empty()) require_column(file, *name, available);
  }
  return columns;
}

ItemColumns item_columns(const ItemTableConfig& config, const std::string& file, const Names& available) {
  const KnownFiles* known = known_file(config.table.preset, file);
  std::vector<ItemColumns> mappings = known ? known->items : std::vector<ItemColumns>{};
  if (mappings.empty()) mappings.emplace_back();
  for (ItemColumns& mapping : mappings) {
    if (config.id) mapping.id = *config.id;
    if (!config.columns.empty()) mapping.values = config.columns;
  }
  const auto fits = [&](const ItemColumns& mapping) {
    return has(available, mapping.id) &&
           std::ranges::all_of(mapping.values, [&](auto& name) { return has(available, name); });
  };
  const auto fitting = std::ranges::find_if(mappings, fits);
  const ItemColumns& columns = fitting == mappings.end() ? mappings.front() : *fitting;
  require(!columns.id.empty(), "id is not given; {} has the columns {}", file, joined(available));
  require(!columns.values.empty(), "columns are not given; {} has {}", file, joined(available));
  require_column(file, columns.id, available);
  for (const std::string& name : columns.values) require_column(file, name, available);
  return columns;
}

}  // namespace sartor::datasets
