// One unit's side of the vector bench (sim/bench/vectors.py): its clock and reset, one word of a file for each cycle, and the
// cycles in which an output was wrong. The unit compares by itself: `word` holds its inputs of this cycle, the outputs
// that it must show in this cycle, and one byte for each output that says whether it is looked at.
//
// Plusargs: +unit=NUMBER chooses the unit that runs, +folder=DIR has vectors.bin; report.txt is written there: a line
// "cycle outputs" for each wrong cycle and at last "end words checks wrong rest", rest being bytes of an unfinished word.
`timescale 1ns/1ps

module vector_reader #(
    parameter UNIT = 0,
    parameter WORD_BITS = 8,
    parameter CHECK_BITS = 1,
    parameter ACTUAL_BITS = 8,
    parameter REPORTED = 1000  // the run ends after that many wrong cycles
) (
    output reg                   clk,
    output reg                   rst,
    output reg  [  WORD_BITS-1:0] word,
    input  wire                   wrong,
    input  wire [ CHECK_BITS-1:0] checks,
    input  wire [ACTUAL_BITS-1:0] actual,
    output reg                    finished
);
  integer file, report, chosen, count;
  reg [8*512-1:0] folder;
  reg [WORD_BITS-1:0] following;
  reg [2:0] reset_left;
  reg running;
  reg [63:0] words, checked, wrongs;

  initial begin
    clk = 0;
    rst = 1;
    word = 0;
    finished = 0;
    running = 0;
    reset_left = 4;
    words = 0;
    checked = 0;
    wrongs = 0;
    if ($value$plusargs("unit=%d", chosen) && chosen == UNIT && $value$plusargs("folder=%s", folder)) begin
      file = $fopen({folder, "/vectors.bin"}, "rb");
      report = $fopen({folder, "/report.txt"}, "w");
      running = 1;
    end
  end

  // Up and down at the same time: one evaluation a cycle. The clocks of other units stand still and cost nothing.
  always begin
    wait (running);
    #2 clk = 1;
    clk <= 0;
  end

  always @(posedge clk) begin
    if (reset_left != 0) begin
      reset_left <= reset_left - 1;
      rst <= reset_left != 1;
    end else if (!finished) begin
      // Before the first word, `word` is zero and asks for no check.
      checked <= checked + checks;
      if (wrong) begin
        wrongs <= wrongs + 1;
        $fwrite(report, "%0d %h\n", words - 1, actual);
      end
      count = $fread(following, file);
      if (count == WORD_BITS / 8 && wrongs < REPORTED) begin
        word <= following;
        words <= words + 1;
      end else begin
        $fwrite(report, "end %0d %0d %0d %0d\n", words, checked + checks, wrongs + wrong, count);
        $fclose(report);
        $fclose(file);
        running <= 0;
        finished <= 1;
      end
    end
  end
endmodule
