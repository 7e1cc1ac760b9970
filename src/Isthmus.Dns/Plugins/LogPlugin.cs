using System.Globalization;
using Isthmus.Dns.Config;
using Isthmus.Wire.Dns;

namespace Isthmus.Dns.Plugins;

/// <summary>One line per answer, in CoreDNS' format; with <c>errors</c> alone only for failures.</summary>
internal sealed class LogPlugin(LogPlan? log, bool errors, TimeProvider time, Action<string> write, DnsHandler next)
{
    internal async ValueTask<DnsReply> AnswerAsync(DnsQuery query, CancellationToken stop)
    {
        var began = time.GetTimestamp();
        var reply = await next(query, stop);
        var code = reply.Message.Header.Code;
        if (log is not null && Wanted(code, reply.Message))
        {
            var protocol = query.OverTcp ? "tcp" : "udp";
            var seconds = time.GetElapsedTime(began).TotalSeconds.ToString("0.000000000", CultureInfo.InvariantCulture);
            write(
                $"[INFO] {query.Client} - {query.Message.Header.Id} \"{query.Type} IN {query.Question.Name}. {protocol}\" {DnsMetrics.Name(code)} {seconds}s");
        }
        else if (errors && code == DnsCode.ServerFailure)
        {
            write($"[ERROR] plugin/errors: 2 {query.Question.Name}. {query.Type}: no server gave an answer");
        }
        return reply;
    }

    private bool Wanted(DnsCode code, DnsMessage message)
    {
        if (log!.Classes.IsEmpty || log.Classes.Contains("all")) return true;
        var @class = code switch
        {
            DnsCode.NoError when !message.Answers.IsEmpty => "success",
            DnsCode.NoError or DnsCode.NameError => "denial",
            _ => "error",
        };
        return log.Classes.Contains(@class);
    }
}
