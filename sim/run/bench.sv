// The simulation top of the fast path: clock, reset, DRAM behind AXI4, a host on AXI4-Lite and a trace log beside the
// generated accelerator. Python (sim/run/session.py) only asks for whole transactions and waits for the interrupt.
//
// Plusargs: +folder=DIR (files below are in it), +latency=CYCLES (address accepted to first beat), +throughput=PERCENT
// (read and write beats that the memory takes of every 100 cycles), +trace=1.
//
// Everything that enters the accelerator is a register of this module, so that Verilator evaluates the design once a cycle.
`timescale 1ns/1ps

module bench #(
    parameter DATA_BITS = 64,
    parameter MEMORY_BITS = 26  // log2 of the DRAM's bytes, at most 32
) (
`ifdef EXTERNAL_CLOCK
    input wire        clk,  // driven by cocotb, to measure what that costs
`endif
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
    // Waves: dumping starts in this cycle (0: never).
    input wire [63:0] waves_start,
    output wire       interrupt,
    output reg [63:0] cycle,
    // Protocol violations seen by the memory: writes out of [write_base, write_base + write_size) and bad bursts.
    input wire [31:0] write_base,
    input wire [31:0] write_size,
    output reg [31:0] violations,
    // Of these, beats with a strobe outside the window; such a beat is not written.
    output reg [31:0] outside,
    // Everything but the DRAM's contents, the time and the two counts begins again while this is high.
    input wire        restart
);
  localparam BEAT = DATA_BITS / 8;
  localparam BEAT_BITS = $clog2(BEAT);
  localparam WORDS = 1 << (MEMORY_BITS - BEAT_BITS);
  localparam QUEUE = 32;

  reg rst = 1;
`ifndef EXTERNAL_CLOCK
  reg clk = 0;
`ifdef PULSE_CLOCK
  // Up and down at the same time: one evaluation a cycle, a tenth faster; in waves such a clock would not be seen.
  always #2 begin
    clk = 1;
    clk <= 0;
  end
`else
  always #1 clk = ~clk;
`endif
`endif

  // -------------------------------------------------------------------------------------------- the accelerator
  wire        awvalid, wvalid, wlast, arvalid, bready, rready;
  wire [31:0] awaddr, araddr;
  wire [7:0]  awlen, arlen;
  wire        arid, awid;
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
  wire        irq;
  assign interrupt = irq;

  accelerator dut (
      .clk(clk), .rst(rst), .irq(irq),
      .m_axi_awvalid(awvalid), .m_axi_awready(awready), .m_axi_awaddr(awaddr), .m_axi_awlen(awlen), .m_axi_awid(awid),
      .m_axi_awsize(), .m_axi_awburst(), .m_axi_awcache(), .m_axi_awprot(),
      .m_axi_wvalid(wvalid), .m_axi_wready(wready), .m_axi_wdata(wdata), .m_axi_wstrb(wstrb), .m_axi_wlast(wlast),
      .m_axi_bvalid(bvalid), .m_axi_bready(bready), .m_axi_bresp(2'b00), .m_axi_bid(1'b0),
      .m_axi_arvalid(arvalid), .m_axi_arready(arready), .m_axi_araddr(araddr), .m_axi_arlen(arlen), .m_axi_arid(arid),
      .m_axi_arsize(), .m_axi_arburst(), .m_axi_arcache(), .m_axi_arprot(),
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
  integer trace = 0;
  integer trace_file = 0;
  initial begin
    cycle = 0;
    violations = 0;
    outside = 0;
    host_acknowledge = 0;
    file_acknowledge = 0;
    if (!$value$plusargs("folder=%s", folder)) folder = ".";
    if (!$value$plusargs("latency=%d", latency) || !$value$plusargs("throughput=%d", throughput)) begin
      $display("bench: +latency and +throughput must be given");
      $finish;
    end
    if ($value$plusargs("trace=%d", trace)) ;
    if (trace != 0) trace_file = $fopen({folder, "/trace.txt"}, "w");
  end

  always @(posedge clk) begin
    cycle <= cycle + 1;
    rst <= cycle < 4 || restart === 1'b1;  // not driven: no restart
    if (cycle == waves_start && waves_start != 0) begin
      $dumpfile({folder, "/waves.vcd"});
      $dumpvars(0, bench);
    end
    if (trace != 0 && (trace_issue != 0 || trace_done != 0))
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
        count = $fread(dram, file, file_offset >> BEAT_BITS);
        if (count != file_bytes) begin
          $display("bench: load.bin has %0d bytes, expected %0d", count, file_bytes);
          violations <= violations + 1;
        end
      end else begin
        file = $fopen({folder, "/dump.bin"}, "wb");
        for (i = 0; i < file_bytes / BEAT; i = i + 1) $fwrite(file, "%u", dram[(file_offset >> BEAT_BITS) + i]);
      end
      $fclose(file);
      if (trace != 0) $fflush(trace_file);
      file_acknowledge <= file_request;
    end
  end

  // Read channel: a queue of accepted bursts, served in order, each not before its latency is over.
  reg [31:0] q_word[0:QUEUE-1];
  reg [8:0]  q_beats[0:QUEUE-1];
  reg        q_id[0:QUEUE-1];
  reg [63:0] q_time[0:QUEUE-1];
  reg [5:0]  q_head = 0, q_tail = 0;
  wire [5:0] q_used = q_tail - q_head;
  reg [31:0] r_word = 0;
  reg [8:0]  r_left = 0;
  integer    r_credit = 0;
  wire       r_free = !rvalid || rready;
  always @(posedge clk) begin
    arready <= q_used < QUEUE - 4;
    if (r_credit < 100) r_credit <= r_credit + throughput;
    if (arvalid && arready) begin
      q_word[q_tail[4:0]] <= araddr >> BEAT_BITS;
      q_beats[q_tail[4:0]] <= {1'b0, arlen} + 9'd1;
      q_id[q_tail[4:0]] <= arid;
      q_time[q_tail[4:0]] <= cycle + latency;
      q_tail <= q_tail + 1;
      if ((araddr & (BEAT - 1)) != 0 || (araddr & 4095) + ((arlen + 1) << BEAT_BITS) > 4096 || (araddr >> MEMORY_BITS) != 0)
        violations <= violations + 1;
    end
    if (r_free) begin
      rvalid <= 0;
      if (q_used != 0 && q_time[q_head[4:0]] <= cycle && r_credit >= 100) begin
        rvalid <= 1;
        rdata <= dram[r_left == 0 ? q_word[q_head[4:0]] : r_word];
        rid <= q_id[q_head[4:0]];
        r_word <= (r_left == 0 ? q_word[q_head[4:0]] : r_word) + 1;
        r_left <= (r_left == 0 ? q_beats[q_head[4:0]] : r_left) - 1;
        rlast <= (r_left == 0 ? q_beats[q_head[4:0]] : r_left) == 1;
        if ((r_left == 0 ? q_beats[q_head[4:0]] : r_left) == 1) q_head <= q_head + 1;
        r_credit <= r_credit - 100 + throughput;
      end
    end
    if (restart === 1'b1) begin
      {arready, rvalid} <= 0;
      {q_head, q_tail, r_left} <= 0;
    end
  end

  // Write channel: one burst at a time; its response comes `latency` cycles after the last beat.
  reg        w_open = 0;
  reg [31:0] w_address = 0;
  reg [63:0] b_time[0:63];
  reg [6:0]  b_head = 0, b_tail = 0;
  wire [6:0] b_used = b_tail - b_head;
  wire       w_take = wvalid && wready;
  wire       w_outside = w_address < write_base || w_address + BEAT > write_base + write_size + BEAT - 1;
  integer    w_credit = 0;
  integer    lane;
  always @(posedge clk) begin
    awready <= !w_open && !(awvalid && awready) && b_used < 60;  // waits high: timing has no phase
    if (w_credit < 100) w_credit <= w_credit + throughput;
    if (awvalid && awready) begin
      w_open <= 1;
      w_address <= awaddr;
      if ((awaddr & (BEAT - 1)) != 0 || (awaddr & 4095) + ((awlen + 1) << BEAT_BITS) > 4096) violations <= violations + 1;
    end
    wready <= (w_open || (awvalid && awready)) && !(w_take && wlast) && w_credit >= 100;
    if (w_take) begin
      w_credit <= w_credit - 100 + throughput;
      for (lane = 0; lane < BEAT; lane = lane + 1)
        if (wstrb[lane] && !w_outside) dram[w_address >> BEAT_BITS][8*lane+:8] <= wdata[8*lane+:8];
      if (wstrb != 0 && w_outside) begin
        violations <= violations + 1;
        outside <= outside + 1;
      end
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
    if (restart === 1'b1) begin
      {awready, wready, w_open, bvalid} <= 0;
      {b_head, b_tail} <= 0;
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
    if (restart === 1'b1) begin
      {host_active, l_awvalid, l_wvalid, l_arvalid} <= 0;
      host_acknowledge <= host_request;
    end
  end
endmodule
