using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;
using Isthmus.Wire.Dns;

namespace Isthmus.Samples;

/// <summary><c>nslookup [-type=TYPE] NAME [SERVER]</c>, with the output of BIND's tool, for root file systems without it.</summary>
public static class NslookupProgram
{
    private const int DnsPort = 53;
    private const int Tries = 2;
    private static readonly TimeSpan AnswerWithin = TimeSpan.FromSeconds(2);

    private static readonly Flag<DnsType?> Type = new("-type", "TYPE", null, ParseType, "-ty", "-q", "-query", "-querytype");

    private static readonly Flag<int> Port = Flag.Port("-port", DnsPort);

    private static readonly FlagSet Flags = new("nslookup", [Type, Port, .. Flag.Ignored("-timeout", "-retry")]) { MaxWords = 2 };

    /// <summary>What was asked on the command line.</summary>
    private sealed record Request(string Name, IReadOnlyList<DnsType> Types, IPEndPoint Server);

    internal static async Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        var settings = ResolverSettings.Load();
        var request = await ParseAsync(args, settings, stop).ConfigureAwait(false);
        await using var output = new StreamWriter(Console.OpenStandardOutput());
        await output.WriteAsync($"Server:\t\t{request.Server.Address}\nAddress:\t{request.Server.Address}#{request.Server.Port}\n\n").ConfigureAwait(false);
        var (failed, text) = (true, "");
        // As in BIND's nslookup the first candidate that exists wins, for all types.
        foreach (var name in settings.Candidates(request.Name))
        {
            var answers = new List<(DnsType Type, DnsMessage? Message)>();
            foreach (var type in request.Types) answers.Add((type, await AskAsync(name, type, request.Server, stop).ConfigureAwait(false)));
            if (answers.All(answer => answer.Message is null))
            {
                text = ";; connection timed out; no servers could be reached\n";
                break;
            }
            (failed, text) = Print(name, answers);
            if (answers.All(answer => answer.Message?.Header.Code != DnsCode.NameError)) break;
        }
        await output.WriteAsync(text + "\n").ConfigureAwait(false);
        return failed ? 1 : 0;
    }

    /// <summary>The answers as text, and whether they indicate failure.</summary>
    public static (bool Failed, string Text) Print(string name, IReadOnlyList<(DnsType Type, DnsMessage? Message)> answers)
    {
        var text = new StringBuilder();
        if (answers.FirstOrDefault(answer => answer.Message?.Header.Code is not (null or DnsCode.NoError)).Message is { } refused)
            return (true, $"** server can't find {name}: {CodeName(refused.Header.Code)}\n");
        var known = answers.Select(answer => answer.Message).OfType<DnsMessage>().ToList();
        if (known.All(message => message.Answers.IsEmpty)) return (false, $"*** Can't find {name}: No answer\n");
        if (known.Any(message => !message.Answers.IsEmpty && !message.Header.IsAuthoritative)) text.Append("Non-authoritative answer:\n");
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var record in known.SelectMany(message => message.Answers.Items))
        {
            var line = Line(record);
            if (seen.Add(line)) text.Append(line);
        }
        return (false, text.ToString());
    }

    private static string Line(DnsRecord record) => record.Content switch
    {
        AddressContent address => $"Name:\t{record.Name}\nAddress: {address.Address}\n",
        NameContent { Kind: DnsType.CNAME } alias => $"{record.Name}\tcanonical name = {alias.Target}.\n",
        NameContent { Kind: DnsType.PTR } pointer => $"{record.Name}\tname = {pointer.Target}.\n",
        NameContent server => $"{record.Name}\tnameserver = {server.Target}.\n",
        ServiceContent service => $"{record.Name}\tservice = {service.Priority} {service.Weight} {service.Port} {service.Target}.\n",
        MailContent mail => $"{record.Name}\tmail exchanger = {mail.Preference} {mail.Exchange}.\n",
        TextContent words => $"{record.Name}\ttext = {string.Join(' ', words.Texts.Select(part => $"\"{part}\""))}\n",
        AuthorityContent soa =>
            $"{record.Name}\n\torigin = {soa.PrimaryServer}\n\tmail addr = {soa.Mailbox}\n\tserial = {soa.Serial}\n\trefresh = {soa.Refresh}\n\tretry = "
                + $"{soa.Retry}\n\texpire = {soa.Expire}\n\tminimum = {soa.Minimum}\n",
        _ => $"{record.Name}\trecord of type {record.Type}\n",
    };

    private static string CodeName(DnsCode code) => code switch
    {
        DnsCode.NameError => "NXDOMAIN", DnsCode.ServerFailure => "SERVFAIL", DnsCode.Refused => "REFUSED",
        DnsCode.NotImplemented => "NOTIMP", DnsCode.FormatError => "FORMERR", _ => code.ToString(),
    };

    private static async Task<DnsMessage?> AskAsync(string name, DnsType type, IPEndPoint server, CancellationToken stop)
    {
        var query = DnsMessage.Query((ushort)new Random().Next(65536), new DnsQuestion(name, type), new Edns(1232));
        try
        {
            _ = query.ToBytes();
        }
        catch (ArgumentException e)
        {
            throw new ProblemException("nslookup", e.Message, "give a domain name", e);
        }
        for (var attempt = 0; attempt < Tries; attempt++)
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
            limit.CancelAfter(AnswerWithin);
            try
            {
                var answer = await DnsExchange.OverUdpAsync(server, query, limit.Token).ConfigureAwait(false);
                return answer.Header.IsTruncated ? await DnsExchange.OverTcpAsync(server, query, limit.Token).ConfigureAwait(false) ?? answer : answer;
            }
            catch (Exception e) when (e is SocketException || (e is OperationCanceledException && !stop.IsCancellationRequested))
            {
                // No answer in time: retries once, then reports it.
            }
        }
        return null;
    }

    private static async Task<Request> ParseAsync(string[] args, ResolverSettings settings, CancellationToken stop)
    {
        var flags = Flags.Read(args);
        if (flags.Words.Count == 0) throw new ProblemException("nslookup", "the name is missing", "usage: nslookup [-type=TYPE] NAME [SERVER]");
        IReadOnlyList<DnsType> types = flags.Get(Type) is { } type ? [type] : [DnsType.A, DnsType.AAAA];
        var name = flags.Words[0];
        if (IPAddress.TryParse(name, out var reverse)) (name, types) = (ReverseName(reverse) + ".", [DnsType.PTR]);
        var port = flags.Get(Port);
        if (flags.Words.Count == 1) return new(name, types, new(NameServer(settings), port));
        if (IPAddress.TryParse(flags.Words[1], out var server)) return new(name, types, new(server, port));
        foreach (var candidate in settings.Candidates(flags.Words[1]))
            if (await AskAsync(candidate, DnsType.A, new(NameServer(settings), DnsPort), stop).ConfigureAwait(false) is { } answer
                && answer.Answers.Items.Select(record => record.Content).OfType<AddressContent>().FirstOrDefault() is { } found)
                    return new(name, types, new(found.Address, port));
        throw new ProblemException("nslookup", $"couldn't get address for '{flags.Words[1]}': not found", "give the server's address");
    }

    private static DnsType? ParseType(string text) =>
        Enum.TryParse<DnsType>(text, ignoreCase: true, out var type) && Enum.IsDefined(type) && type != DnsType.OPT
        ? type : throw new FormatException("expected for example a, aaaa, cname, mx, ns, ptr, soa, srv or txt");

    /// <summary>As resolvers do: the machine itself where resolv.conf names no server.</summary>
    private static IPAddress NameServer(ResolverSettings settings) => settings.Servers.IsEmpty ? IPAddress.Loopback : settings.Servers[0].Address;

    private static string ReverseName(IPAddress address)
    {
        var bytes = address.GetAddressBytes();
        return bytes.Length == 4
            ? $"{bytes[3]}.{bytes[2]}.{bytes[1]}.{bytes[0]}.in-addr.arpa"
            : string.Join('.', Convert.ToHexStringLower(bytes).Reverse()) + ".ip6.arpa";
    }
}
