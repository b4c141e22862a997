// JobParts: assignment to ranks, resuming, and the files that remain.
#include "jobs/job_parts.h"

#include <gmock/gmock.h>

#include <deque>
#include <memory>

#include "support/faults/faults.h"
#include "support/folder_test.h"
#include "support/paths.h"
#include "support/told_ranks.h"
#include "tables/rejects.h"

namespace sartor::inference {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::testing::ThrowsMessage;

class JobPartsTest : public testing::FolderTest {
 protected:
  JobPartsTest() { write("in.csv", "text\n好\n"); }

  // Ranks in one process that share a counter.
  struct Ranks {
    std::vector<std::string> told;  // by the first rank
    int64_t counter = 0;
  };
  class Rank : public sartor::testing::Told {
   public:
    Rank(int rank, int size, Ranks& ranks) : Told(rank, size, ranks.told), counter_(ranks.counter) {}
    int64_t next(const std::string&) override { return counter_++; }

   private:
    int64_t& counter_;
  };
  struct Job {
    Job(const JobRequest& request, int rank, int size, Ranks& ranks)
        : collective(rank, size, ranks), parts([&] {
            auto mine = request;
            mine.ranks = &collective;
            return mine;
          }()) {}
    Rank collective;
    JobParts parts;
  };

  JobRequest request(bool resume = false, bool overwrite = false) const {
    return {.output = path("out.csv"),
            .rejects = path("out.csv.rejects.tsv"),
            .record = path("out.csv.job.json"),
            .extension = ".csv",
            .start = {.resume = resume, .overwrite = overwrite}};
  }
  void begin(Job& job, const std::string& config = "precision: fp32\nthreads: 1\n") const {
    job.parts.begin({config, {"threads"}, {path("in.csv")}});
  }
  void check_complete(const Job& job, const std::string& config = "precision: fp32\nthreads: 1\n") const {
    job.parts.check_complete({config, {"threads"}, {path("in.csv")}});
  }
  std::unique_ptr<Job> job(const JobRequest& request) {
    return std::make_unique<Job>(request, 0, 1, ranks_.emplace_back());
  }
  // Starts a job and writes only these parts.
  void stopped(const std::vector<int64_t>& done) {
    const auto it = job(request());
    begin(*it);
    for (const auto part : done) make(*it, part);
  }
  void done() {
    const auto it = job(request());
    begin(*it);
    make(*it, 0);
    finish(*it, 1);
  }
  static void make(Job& job, int64_t part) {
    datasets::write_file(job.parts.part(part), "part " + std::to_string(part) + "\n");
  }
  int64_t finish(Job& job, int64_t parts) const {
    return job.parts.finish(parts, [&](const std::vector<fs::path>& paths) {
      std::string all;
      for (const auto& part : paths) all += read(part);
      datasets::write_file(path("out.csv"), all);
    });
  }

  std::deque<Ranks> ranks_;  // of each job
};

TEST_F(JobPartsTest, AreJoinedAndRemoved) {
  {
    const auto it = job(request());
    EXPECT_THAT(files(), ElementsAre(".out.csv.parts.partial", "in.csv"));
    begin(*it);
    EXPECT_THAT(files(), ElementsAre("in.csv", "out.csv.parts"));
    for (int64_t part = 0; part < 3; part++) {
      EXPECT_EQ(it->parts.next(), part);
      make(*it, part);
    }
    EXPECT_EQ(finish(*it, 3), 0);
  }
  EXPECT_THAT(files(), ElementsAre("in.csv", "out.csv", "out.csv.job.json"));
  EXPECT_EQ(read("out.csv"), "part 0\npart 1\npart 2\n");
}

TEST_F(JobPartsTest, LeaveNothingBeforeTheyBegin) {
  job(request()).reset();
  EXPECT_THAT(files(), ElementsAre("in.csv"));
}

TEST_F(JobPartsTest, RejectsAreJoinedInOrder) {
  {
    const auto it = job(request());
    begin(*it);
    for (const int64_t part : {3, 1}) {
      datasets::Rejects rejects(it->parts.rejects(part));
      rejects.add("in.csv", part, "text is missing", "a\nb");
      rejects.add("in.csv", part + 10, "text is missing", "");
      rejects.finish();
    }
    for (int64_t part = 0; part < 4; part++) make(*it, part);
    EXPECT_EQ(finish(*it, 4), 4);
  }
  EXPECT_EQ(read("out.csv.rejects.tsv"),
            "file\trow\treason\ttext\nin.csv\t1\ttext is missing\ta\\nb\nin.csv\t11\ttext is missing\t\n"
            "in.csv\t3\ttext is missing\ta\\nb\nin.csv\t13\ttext is missing\t\n");
  EXPECT_THAT(files(), ElementsAre("in.csv", "out.csv", "out.csv.job.json", "out.csv.rejects.tsv"));
}

TEST_F(JobPartsTest, OldRejectsGoWithTheirJob) {
  write("out.csv.rejects.tsv", "old");
  write("out.csv", "old");
  const auto it = job(request(false, true));
  begin(*it);
  make(*it, 0);
  EXPECT_EQ(read("out.csv"), "old") << "until the new one is whole";
  finish(*it, 1);
  EXPECT_EQ(read("out.csv"), "part 0\n");
  EXPECT_FALSE(fs::exists(path("out.csv.rejects.tsv")));
}

TEST_F(JobPartsTest, RanksTakeWhatIsMissingInTurn) {
  stopped({0, 3, 4, 1'000'000});
  auto& ranks = ranks_.emplace_back();
  std::deque<Job> jobs;
  for (int rank = 0; rank < 3; rank++) begin(jobs.emplace_back(request(true), rank, 3, ranks));
  const auto take = [&](std::initializer_list<int> order) {
    std::vector<int64_t> parts;
    for (const int rank : order) parts.push_back(jobs[rank].parts.next());
    return parts;
  };
  EXPECT_THAT(take({2, 0, 1}), ElementsAre(1, 2, 5));
  EXPECT_THAT(take({0, 0, 0, 2}), ElementsAre(6, 7, 8, 9)) << "one rank is faster";
  ranks.counter = 999'996;
  EXPECT_THAT(take({1, 0, 2}), ElementsAre(999'999, 1'000'001, 1'000'002));
}

TEST_F(JobPartsTest, ResumeDoesWhatIsMissing) {
  stopped({1});
  write("out.csv.parts/.part-000002.csv.partial-77", "half");
  write(".out.csv.partial-77", "half");
  {
    const auto it = job(request(true));
    EXPECT_FALSE(it->parts.complete());
    begin(*it, "precision: fp32\nthreads: 2\n");
    for (const int64_t part : {0, 2}) {
      EXPECT_EQ(it->parts.next(), part);
      make(*it, part);
    }
    EXPECT_EQ(it->parts.next(), 3);
    finish(*it, 3);
  }
  EXPECT_EQ(read("out.csv"), "part 0\npart 1\npart 2\n");
  EXPECT_THAT(files(), ElementsAre("in.csv", "out.csv", "out.csv.job.json"));
}

TEST_F(JobPartsTest, WhatTorchrunStartsAgainGoesOn) {
  auto launched = request(false, true);
  launched.start.launch = {.id = "launch 7"};
  begin(*job(launched));
  write("out.csv.parts/part-000000.csv", "kept");
  launched.start.launch.restarts = 1;
  {
    const auto it = job(launched);
    begin(*it);
    EXPECT_EQ(it->parts.next(), 1) << "part 0 is done";
  }
  launched.start.launch.id = "launch 8";
  launched.start.overwrite = false;
  EXPECT_THAT([&] { job(launched); }, ThrowsMessage<std::invalid_argument>(HasSubstr("out.csv.parts exists")));
}

TEST_F(JobPartsTest, ResumeOfADoneJobIsComplete) {
  done();
  fs::create_directory(path(".out.csv.parts.partial"));  // left by a process killed while it removed the parts
  const auto again = job(request(true));
  EXPECT_TRUE(again->parts.complete());
  check_complete(*again, "precision: fp32\nthreads: 2\n");
}

TEST_F(JobPartsTest, ResumeTakesNoOtherFileForTheDoneJob) {
  const auto refused = [&](const std::string& said, const std::string& config = "precision: fp32\nthreads: 1\n") {
    const auto again = job(request(true));
    EXPECT_TRUE(again->parts.complete());
    EXPECT_THAT([&] { check_complete(*again, config); }, ThrowsMessage<std::invalid_argument>(HasSubstr(said)));
  };
  write("out.csv", "notes");
  refused("out.csv exists, but not " + path("out.csv.job.json"));
  write("out.csv.job.json", "{}");
  refused("out.csv.job.json is broken");
  fs::remove(path("out.csv.job.json"));
  fs::remove(path("out.csv"));

  done();
  refused("precision: the job began with fp32, --resume cannot continue with int8", "precision: int8\nthreads: 1\n");
  const auto output = read("out.csv"), record = read("out.csv.job.json");
  write("out.csv", "notes");
  refused("out.csv is not the output of the job of");
  write("out.csv", output);
  auto without_hash = record;
  without_hash.replace(record.find("output_sha256"), 6, "other_");
  write("out.csv.job.json", without_hash);
  refused("out.csv is not the output of the job of");
  write("out.csv.job.json", record);
  write("in.csv", "text\n坏\n");
  refused("in.csv has changed since the job began");
  write("in.csv", "text\n好\n");
  check_complete(*job(request(true)));
  EXPECT_THAT(files(), ElementsAre("in.csv", "out.csv", "out.csv.job.json"));
}

TEST_F(JobPartsTest, ResumeRefusesAnotherJob) {
  stopped({0});
  const auto refused = [&](const std::string& config, const std::string& said) {
    EXPECT_THAT([&] { begin(*job(request(true)), config); }, ThrowsMessage<std::invalid_argument>(HasSubstr(said)));
  };
  refused("precision: int8\nthreads: 1\n", "precision: the job began with fp32, --resume cannot continue with int8");
  refused("precision: fp32\nthreads: 1\nkeep: [a]\n", "the job began with nothing, --resume cannot continue with");
  write("in.csv", "text\n坏\n");
  refused("precision: fp32\nthreads: 1\n", "in.csv has changed since the job began");
  EXPECT_THAT(
      [&] {
        job(request(true))->parts.begin({"precision: fp32\nthreads: 1\n", {}, {}});
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("the job began with 1 files")));
  for (const char* broken : {"", "[]", "{\"config\": \"a: 1\"}", "{\"config\": \"a: 1\", \"files\": [1]}"}) {
    write("out.csv.parts/job.json", broken);
    refused("a: 1\n", "job.json is broken");
  }
}

TEST_F(JobPartsTest, WhatIsThereIsNotOverwrittenByAccident) {
  EXPECT_THAT([&] { job(request(true)); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("there is no job to resume")));
  stopped({0});
  EXPECT_THAT([&] { job(request()); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("out.csv.parts exists from a job that was stopped")));
  {
    const auto it = job(request(false, true));
    begin(*it);
    EXPECT_EQ(it->parts.next(), 0) << "begun anew";
  }
  fs::remove_all(path("out.csv.parts"));
  for (const char* name : {"out.csv", "out.csv.rejects.tsv", "out.csv.job.json"}) {
    write(name, "mine");
    EXPECT_THAT([&] { job(request()); },
                ThrowsMessage<std::invalid_argument>(HasSubstr(name + std::string(" exists: --overwrite"))));
    fs::remove(path(name));
  }
  fs::create_directory(path("out.csv"));
  EXPECT_THAT([&] { job(request(false, true)); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("out.csv is a folder")));
  EXPECT_THAT(files(), ElementsAre("in.csv", "out.csv"));
}

TEST_F(JobPartsTest, OneWriterAtATime) {
  const auto in_use = ThrowsMessage<std::invalid_argument>(HasSubstr("out.csv is in use by process"));
  auto first = job(request());
  EXPECT_THAT([&] { job(request()); }, in_use);
  begin(*first);
  EXPECT_THAT([&] { job(request(true)); }, in_use);
  EXPECT_THAT([&] { job(request(false, true)); }, in_use);
  first.reset();
  EXPECT_FALSE(job(request(true))->parts.complete());
}

TEST_F(JobPartsTest, AllRanksStopWhereTheFirstDoes) {
  auto& ranks = ranks_.emplace_back();
  const auto refused = [&](int rank, const std::string& said, auto&& call) {
    EXPECT_THAT(call, ThrowsMessage<std::invalid_argument>(StartsWith(rank == 0 ? said : "rank 0: " + said)));
  };
  write("out.csv", "mine");
  for (int rank = 0; rank < 2; rank++) {
    refused(rank, path("out.csv") + " exists", [&] { Job(request(), rank, 2, ranks); });
  }
  fs::remove(path("out.csv"));
  stopped({0});
  auto& resumed = ranks_.emplace_back();
  for (int rank = 0; rank < 2; rank++) {
    Job job(request(true), rank, 2, resumed);
    refused(rank, "precision: the job began with fp32", [&] { begin(job, "precision: int8\nthreads: 1\n"); });
  }
}

TEST_F(JobPartsTest, RejectsAreNoParts) {
  auto tsv = request();
  tsv.extension = ".tsv";
  {
    const auto it = job(tsv);
    begin(*it);
    write("out.csv.parts/part-000000.rejects.tsv", "killed before the part was done");
    make(*it, 1);
  }
  tsv.start.resume = true;
  const auto again = job(tsv);
  begin(*again);
  EXPECT_EQ(again->parts.next(), 0);
  EXPECT_EQ(again->parts.next(), 2);
}

// Files written by the release before records were shared with training: an interrupted job and a completed one.
class JobPartsOfBefore : public JobPartsTest {
 protected:
  void copy(const char* name) const {
    fs::copy(sartor::testing::source_path("tests/golden/resume/" + std::string(name)), folder_,
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  }
};

TEST_F(JobPartsOfBefore, GoOn) {
  const auto origin = [&](const char* config) { return JobOrigin{config, {}, {path("in.csv")}}; };
  copy("job");
  EXPECT_THAT([&] { job(request(true))->parts.begin(origin("parts: 4\n")); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("parts: the job began with 3")));
  auto launched = request();
  launched.start.launch = {"夏季-7", 1};
  {
    const auto it = job(launched);
    it->parts.begin(origin("parts: 3\n"));
    EXPECT_EQ(it->parts.next(), 2);
    datasets::write_file(it->parts.part(2), "number\n2\n");
    EXPECT_EQ(finish(*it, 3), 1);
  }
  EXPECT_EQ(read("out.csv"), "number\n0\nnumber\n1\nnumber\n2\n");
  EXPECT_THAT(files(), ElementsAre("in.csv", "out.csv", "out.csv.job.json", "out.csv.rejects.tsv"));
}

TEST_F(JobPartsOfBefore, AreRecordedInTheSameForm) {
  const std::vector<std::string> words = {sartor::testing::program("inference_parts_program"), "in.csv", "out.csv"};
  fs::current_path(folder_);
  ASSERT_EQ(run_command(words).status, 0);
  const auto golden = sartor::testing::source_path("tests/golden/resume/done/");
  EXPECT_EQ(read("out.csv.job.json"), read(golden + "out.csv.job.json"));
  copy("done");
  auto again = words;
  again.push_back("--resume");
  EXPECT_EQ(run_command(again).status, 0);
  EXPECT_EQ(read("out.csv"), read(golden + "out.csv"));
  fs::current_path("/");
}

TEST_F(JobPartsTest, APartThatNobodyMadeIsNamed) {
  const auto it = job(request());
  begin(*it);
  make(*it, 0);
  EXPECT_THAT([&] { finish(*it, 2); }, ThrowsMessage<std::runtime_error>(HasSubstr("part-000001.csv was not written")));
  EXPECT_FALSE(fs::exists(path("out.csv")));
}

}  // namespace
}  // namespace sartor::inference
