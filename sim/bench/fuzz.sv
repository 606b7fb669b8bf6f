// Fuzzed programs: clock, reset, a small DRAM behind AXI4, a host on AXI4-Lite, and a guard that compares every address
// with the windows as 33-bit numbers. Only the low MEMORY_BITS bits of an address choose the byte, so that windows may
// lie anywhere in the address space. Python (campaigns/fuzz/session.py) asks for whole transactions.
//
// Plusargs: +folder=DIR (files below are in it), +latency=CYCLES (address accepted to first beat), +throughput=PERCENT
// (beats that the memory takes of every 100 cycles).
`timescale 1ns/1ps

module fuzz_bench #(
    parameter DATA_BITS = 64,
    parameter MEMORY_BITS = 17
) (
    // Host transactions: change `host_request` to start one, it is over when `host_acknowledge` equals it.
    input wire        host_request,
    input wire        host_write,
    input wire [11:0] host_address,
    input wire [31:0] host_data,
    output reg        host_acknowledge,
    output reg [31:0] host_result,
    // Files: change `file_request`; command 0 loads `load.bin` at byte `file_offset`, 1 dumps `file_bytes` bytes to `dump.bin`.
    input wire        file_request,
    input wire        file_command,
    input wire [31:0] file_offset,
    input wire [31:0] file_bytes,
    output reg        file_acknowledge,
    output wire       interrupt,
    output reg [63:0] cycle,
    // The guard: a window is [base, end).
    input wire [32:0] read_base,
    input wire [32:0] read_end,
    input wire [32:0] write_base,
    input wire [32:0] write_end,
    output reg [31:0] outside_reads,
    output reg [31:0] outside_writes,
    output reg [31:0] protocol,
    output reg [31:0] written,
    input wire        tracing
);
  localparam BEAT = DATA_BITS / 8;
  localparam BEAT_BITS = $clog2(BEAT);
  localparam WORD_BITS = MEMORY_BITS - BEAT_BITS;
  localparam WORDS = 1 << WORD_BITS;
  localparam QUEUE = 32;

  reg rst = 1;
  reg clk = 0;
  // Up and down at the same time: one evaluation a cycle.
  always #2 begin
    clk = 1;
    clk <= 0;
  end

  // -------------------------------------------------------------------------------------------- the accelerator
  wire        awvalid, wvalid, wlast, arvalid, bready, rready;
  wire [31:0] awaddr, araddr;
  wire [7:0]  awlen, arlen;
  wire        arid;
  wire [DATA_BITS-1:0] wdata;
  wire [BEAT-1:0] wstrb;
  reg         awready = 0, wready = 0, arready = 0, bvalid = 0, rvalid = 0, rlast = 0, rid = 0;
  reg [DATA_BITS-1:0] rdata;
  wire        l_awready, l_wready, l_bvalid, l_arready, l_rvalid;
  wire [31:0] l_rdata;
  reg         l_awvalid = 0, l_wvalid = 0, l_arvalid = 0;
  reg [11:0]  l_addr;
  reg [31:0]  l_wdata;
  wire [3:0]  trace_issue, trace_done;
  wire [95:0] trace_issue_pc;

  accelerator dut (
      .clk(clk), .rst(rst), .irq(interrupt),
      .m_axi_awvalid(awvalid), .m_axi_awready(awready), .m_axi_awaddr(awaddr), .m_axi_awlen(awlen), .m_axi_awid(),
      .m_axi_awsize(), .m_axi_awburst(),
      .m_axi_wvalid(wvalid), .m_axi_wready(wready), .m_axi_wdata(wdata), .m_axi_wstrb(wstrb), .m_axi_wlast(wlast),
      .m_axi_bvalid(bvalid), .m_axi_bready(bready), .m_axi_bresp(2'b00), .m_axi_bid(1'b0),
      .m_axi_arvalid(arvalid), .m_axi_arready(arready), .m_axi_araddr(araddr), .m_axi_arlen(arlen), .m_axi_arid(arid),
      .m_axi_arsize(), .m_axi_arburst(),
      .m_axi_rvalid(rvalid), .m_axi_rready(rready), .m_axi_rdata(rdata), .m_axi_rlast(rlast), .m_axi_rid(rid),
      .m_axi_rresp(2'b00),
      .s_axil_awvalid(l_awvalid), .s_axil_awready(l_awready), .s_axil_awaddr(l_addr), .s_axil_awprot(3'b000),
      .s_axil_wvalid(l_wvalid), .s_axil_wready(l_wready), .s_axil_wdata(l_wdata), .s_axil_wstrb(4'b1111),
      .s_axil_bvalid(l_bvalid), .s_axil_bready(1'b1), .s_axil_bresp(),
      .s_axil_arvalid(l_arvalid), .s_axil_arready(l_arready), .s_axil_araddr(l_addr), .s_axil_arprot(3'b000),
      .s_axil_rvalid(l_rvalid), .s_axil_rready(1'b1), .s_axil_rdata(l_rdata), .s_axil_rresp(),
      .trace_issue(trace_issue), .trace_issue_pc(trace_issue_pc), .trace_done(trace_done)
  );

  // -------------------------------------------------------------------------------------------- time and settings
  reg [8*512-1:0] folder;
  integer latency;
  integer throughput;
  integer trace_file = 0;
  initial begin
    cycle = 0;
    host_acknowledge = 0;
    file_acknowledge = 0;
    outside_reads = 0;
    outside_writes = 0;
    protocol = 0;
    written = 0;
    if (!$value$plusargs("folder=%s", folder)) folder = ".";
    if (!$value$plusargs("latency=%d", latency) || !$value$plusargs("throughput=%d", throughput)) begin
      $display("bench: +latency and +throughput must be given");
      $finish;
    end
    trace_file = $fopen({folder, "/trace.txt"}, "w");
  end

  always @(posedge clk) begin
    cycle <= cycle + 1;
    rst <= cycle < 4;
    if (tracing && (trace_issue != 0 || trace_done != 0))
      $fwrite(trace_file, "%0d %h %h %h\n", cycle, trace_issue, trace_done, trace_issue_pc);
  end

  // -------------------------------------------------------------------------------------------- DRAM
  // Word i holds bytes BEAT*i ... with the lowest byte in the lowest bits; load.bin is written in that order reversed in
  // each word, because $fread fills a word from its top.
  reg [DATA_BITS-1:0] dram[0:WORDS-1];
  integer file, count, i;
  always @(posedge clk) begin
    if (file_request != file_acknowledge) begin
      if (file_command == 0) begin
        file = $fopen({folder, "/load.bin"}, "rb");
        count = $fread(dram, file, {{(32-WORD_BITS){1'b0}}, file_offset[MEMORY_BITS-1:BEAT_BITS]});
        if (count != file_bytes) begin
          $display("bench: load.bin has %0d bytes, expected %0d", count, file_bytes);
          protocol <= protocol + 1;
        end
      end else begin
        file = $fopen({folder, "/dump.bin"}, "wb");
        for (i = 0; i < file_bytes / BEAT; i = i + 1) $fwrite(file, "%u", dram[file_offset[MEMORY_BITS-1:BEAT_BITS]+i[WORD_BITS-1:0]]);
      end
      $fclose(file);
      $fflush(trace_file);
      file_acknowledge <= file_request;
    end
  end

  // Read channel: a queue of accepted bursts, served in order, each not before its latency is over. A burst reads whole
  // beats, so its last one may carry bytes beyond the window.
  reg [WORD_BITS-1:0] q_word[0:QUEUE-1];
  reg [8:0]  q_beats[0:QUEUE-1];
  reg        q_id[0:QUEUE-1];
  reg [63:0] q_time[0:QUEUE-1];
  reg [5:0]  q_head = 0, q_tail = 0;
  wire [5:0] q_used = q_tail - q_head;
  reg [WORD_BITS-1:0] r_word = 0;
  reg [8:0]  r_left = 0;
  integer    r_credit = 0;
  wire       r_free = !rvalid || rready;
  wire [32:0] ar_last = {1'b0, araddr} + ({25'b0, arlen} << BEAT_BITS);  // the first byte of its last beat
  wire [32:0] aw_end = {1'b0, awaddr} + (({25'b0, awlen} + 33'd1) << BEAT_BITS);
  wire [WORD_BITS-1:0] r_from = r_left == 0 ? q_word[q_head[4:0]] : r_word;
  wire [8:0] r_beats = r_left == 0 ? q_beats[q_head[4:0]] : r_left;
  always @(posedge clk) begin
    arready <= q_used < QUEUE - 4;
    if (r_credit < 100) r_credit <= r_credit + throughput;
    if (arvalid && arready) begin
      q_word[q_tail[4:0]] <= araddr[MEMORY_BITS-1:BEAT_BITS];
      q_beats[q_tail[4:0]] <= {1'b0, arlen} + 9'd1;
      q_id[q_tail[4:0]] <= arid;
      q_time[q_tail[4:0]] <= cycle + latency;
      q_tail <= q_tail + 1;
      if (araddr[BEAT_BITS-1:0] != 0 || araddr[31:12] != ar_last[31:12]) protocol <= protocol + 1;
      if ({1'b0, araddr} < read_base || ar_last >= read_end) outside_reads <= outside_reads + 1;
    end
    if (r_free) begin
      rvalid <= 0;
      if (q_used != 0 && q_time[q_head[4:0]] <= cycle && r_credit >= 100) begin
        rvalid <= 1;
        rdata <= dram[r_from];
        rid <= q_id[q_head[4:0]];
        r_word <= r_from + 1;
        r_left <= r_beats - 1;
        rlast <= r_beats == 1;
        if (r_beats == 1) q_head <= q_head + 1;
        r_credit <= r_credit - 100 + throughput;
      end
    end
  end

  // Write channel: one burst at a time; its response comes `latency` cycles after the last beat. A byte is outside by
  // its own address.
  reg        w_open = 0;
  reg [32:0] w_address = 0;
  reg [63:0] b_time[0:63];
  reg [6:0]  b_head = 0, b_tail = 0;
  wire [6:0] b_used = b_tail - b_head;
  wire       w_take = wvalid && wready;
  integer    w_credit = 0;
  integer    lane;
  reg        w_outside;
  always @(posedge clk) begin
    awready <= !w_open && !(awvalid && awready) && b_used < 60;
    if (w_credit < 100) w_credit <= w_credit + throughput;
    if (awvalid && awready) begin
      w_open <= 1;
      w_address <= {1'b0, awaddr};
      if (awaddr[BEAT_BITS-1:0] != 0 || (awaddr[31:12] != aw_end[31:12] && aw_end[11:0] != 0)) protocol <= protocol + 1;
    end
    wready <= (w_open || (awvalid && awready)) && !(w_take && wlast) && w_credit >= 100;
    if (w_take) begin
      w_credit <= w_credit - 100 + throughput;
      w_outside = 0;
      for (lane = 0; lane < BEAT; lane = lane + 1)
        if (wstrb[lane]) begin
          dram[w_address[MEMORY_BITS-1:BEAT_BITS]][8*lane+:8] <= wdata[8*lane+:8];
          if (w_address + lane < write_base || w_address + lane >= write_end) w_outside = 1;
        end
      if (w_outside) outside_writes <= outside_writes + 1;
      if (wstrb != 0) written <= written + 1;
      w_address <= w_address + BEAT;
      if (wlast) begin
        w_open <= 0;
        b_time[b_tail[5:0]] <= cycle + latency;
        b_tail <= b_tail + 1;
      end
    end
    if (!bvalid || bready) begin
      bvalid <= 0;
      if (b_used != 0 && b_time[b_head[5:0]] <= cycle) begin
        bvalid <= 1;
        b_head <= b_head + 1;
      end
    end
  end

  // -------------------------------------------------------------------------------------------- AXI4-Lite host
  reg host_active = 0;
  always @(posedge clk) begin
    if (!host_active) begin
      if (host_request != host_acknowledge && !rst) begin
        host_active <= 1;
        l_addr <= host_address;
        l_wdata <= host_data;
        l_awvalid <= host_write;
        l_wvalid <= host_write;
        l_arvalid <= !host_write;
      end
    end else begin
      if (l_awvalid && l_awready) l_awvalid <= 0;
      if (l_wvalid && l_wready) l_wvalid <= 0;
      if (l_arvalid && l_arready) l_arvalid <= 0;
      if (l_bvalid || l_rvalid) begin
        host_active <= 0;
        host_result <= l_rdata;
        host_acknowledge <= host_request;
      end
    end
  end
endmodule
