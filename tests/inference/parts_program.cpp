// parts_program INPUT OUTPUT [--resume]: a job of three parts, the second of which has a rejected row. Does not link
// libtorch, so that it starts in milliseconds.
#include <cstdio>
#include <fstream>
#include <string>

#include "jobs/job_parts.h"
#include "storage/atomic_file.h"
#include "tables/rejects.h"
#include "tables/table_writer.h"

namespace sartor::inference {
namespace {

void write_numbers(const std::filesystem::path& path, const std::vector<int64_t>& numbers) {
  datasets::TableWriter writer(path, {{"number", datasets::ColumnType::int64}}, /*overwrite=*/true);
  writer.append({numbers});
  writer.finish();
}

void run(const std::string& input, const std::string& output, bool resume) {
  Alone alone;
  JobParts parts({.output = output,
                  .rejects = output + ".rejects.tsv",
                  .record = output + ".job.json",
                  .extension = ".csv",
                  .ranks = &alone,
                  .start = {.resume = resume}});
  const JobOrigin origin = {"parts: 3\n", {}, {input}};
  if (parts.complete()) return parts.check_complete(origin);
  parts.begin(origin);
  for (int64_t part = parts.next(); part < 3; part = parts.next()) {
    if (part == 1) {
      datasets::Rejects rejects(parts.rejects(part));
      rejects.add(input, 7, "text is missing", "");
      rejects.finish();
    }
    write_numbers(parts.part(part), {part});
  }
  parts.finish(3, [&](const std::vector<std::filesystem::path>& paths) {
    std::vector<int64_t> numbers;
    for (const auto& path : paths) {
      std::ifstream file(path);
      std::string header;
      int64_t number = -1;
      file >> header >> number;
      numbers.push_back(number);
    }
    write_numbers(output, numbers);
  });
}

}  // namespace
}  // namespace sartor::inference

int main(int argc, char** argv) {
  try {
    sartor::inference::run(argv[1], argv[2], argc > 3);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
