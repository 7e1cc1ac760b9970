using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Google.Protobuf.Collections;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Transports;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Auth;

namespace Isthmus.Proxy.Own;

/// <summary>The gRPC protocol of external authorizers, <c>envoy.service.auth.v3.Authorization</c>.</summary>
internal static class GrpcAuthorizer
{
    public static (RequestHead Head, ReadOnlyMemory<byte> Body) Request(ExternalAuthorizer authorizer, ExternalCheck check, CheckedCall call) =>
        GrpcMessages.Request(authorizer.GrpcAuthority!, "/envoy.service.auth.v3.Authorization/Check"u8, authorizer.Patience,
            new CheckRequest { Attributes = Attributes(check, call) });

    public static ExternalAnswer Read(OwnAnswer answer)
    {
        if (GrpcMessages.Read(answer, CheckResponse.Parser) is not { } response) return new(ExternalOutcome.Failed);
        if (response.Status is { Code: not 0 }) return Denied(response);
        var ok = response.OkResponse ?? new();
        if (!AreValid(ok.Headers) || !AreValid(ok.ResponseHeadersToAdd)) return new(ExternalOutcome.Failed);
        return new(ExternalOutcome.Allowed)
        {
            ToUpstream = Edits(ok.Headers),
            ToClient = ForClient(ok.ResponseHeadersToAdd),
            Removed = [.. ok.HeadersToRemove.Select(name => Encoding.ASCII.GetBytes(name.ToLowerInvariant()))],
            QuerySet = [.. ok.QueryParametersToSet.Select(item => KeyValuePair.Create(item.Key, item.Value))],
            QueryRemoved = [.. ok.QueryParametersToRemove],
            Metadata = Metadata(ok.DynamicMetadata ?? response.DynamicMetadata),
        };
    }

    private static ExternalAnswer Denied(CheckResponse response)
    {
        var denied = response.DeniedResponse ?? new();
        if (!AreValid(denied.Headers)) return new(ExternalOutcome.Failed);
        return new(ExternalOutcome.Denied)
        {
            Status = denied.Status is { Code: >= (StatusCode)200 and <= (StatusCode)599 } status ? (int)status.Code : 403,
            Body = Encoding.UTF8.GetBytes(denied.Body),
            ToClient = ForClient(denied.Headers),
            Metadata = Metadata(response.DynamicMetadata),
        };
    }

    private static AttributeContext Attributes(ExternalCheck check, CheckedCall call)
    {
        var facts = call.Facts;
        var attributes = new AttributeContext
        {
            Source = new() { Address = Address(facts.Source), Principal = Principal(facts.Peer) },
            Destination = new() { Address = Address(facts.Destination), Principal = call.OwnIdentity },
            Request = new() { Time = Timestamp.FromDateTimeOffset(call.Start) },
        };
        if (check.TellsCertificate && facts.Peer is { Pem.Length: > 0 } peer) attributes.Source.Certificate = Uri.EscapeDataString(peer.Pem + "\n");
        if (check.TellsServerName && facts.ServerName.Length > 0) attributes.TlsSession = new() { Sni = facts.ServerName };
        foreach (var space in check.MetadataSpaces)
            if (facts.Metadata?.Find(space, []) is { } values)
                (attributes.MetadataContext ??= new()).FilterMetadata[space] = WireTypes.Lenient.Parse<Struct>(values.ToJsonString());
        if (call.Route is { } route) attributes.ContextExtensions.Add(route.Context.ToDictionary());
        if (facts.Request is { } request) attributes.Request.Http = Http(check, call, request);
        return attributes;
    }

    private static AttributeContext.Types.HttpRequest Http(ExternalCheck check, CheckedCall call, RequestHead request)
    {
        var http = new AttributeContext.Types.HttpRequest
        {
            Id = request.Headers.GetString("x-request-id"u8) ?? "",
            Method = request.Method,
            Path = request.TargetText,
            Host = request.Authority,
            Scheme = call.Facts.Scheme,
            Size = request.Body switch { BodyKind.None => 0, BodyKind.Length => request.ContentLength, _ => -1 },
            Protocol = HttpVersions.Text(request.Version),
            Headers = { [":authority"] = request.Authority, [":method"] = request.Method, [":path"] = request.TargetText, [":scheme"] = call.Facts.Scheme },
        };
        for (var i = 0; i < request.Headers.Count; i++)
        {
            var name = Encoding.ASCII.GetString(request.Headers.Name(i));
            if (check.Withheld.Contains(name) || check.Sent?.Contains(name) == false) continue;
            var value = Encoding.UTF8.GetString(request.Headers.Value(i));
            http.Headers[name] = http.Headers.TryGetValue(name, out var before) ? $"{before},{value}" : value;
        }
        if (call.Sends is not { } body) return http;
        http.Headers["x-envoy-auth-partial-body"] = call.IsPart ? "true" : "false";
        if (body.AsBytes) http.RawBody = ByteString.CopyFrom(call.Body.Span);
        else http.Body = Encoding.UTF8.GetString(call.Body.Span);
        return http;
    }

    private static string Principal(TlsPeer? peer) =>
        peer is null ? "" : peer.Uris.Count > 0 ? peer.Uris[0] : peer.DnsNames.Count > 0 ? peer.DnsNames[0] : peer.Subject;

    private static Address Address(IPEndPoint point) => new() { SocketAddress = new() { Address = point.Address.ToString(), PortValue = (uint)point.Port } };

    private static bool AreValid(RepeatedField<HeaderValueOption> options) => options.All(option => GrpcMessages.IsValid(option.Header));

    private static List<HeaderEdit> Edits(RepeatedField<HeaderValueOption> options) =>
        [.. options.Select(option => new HeaderEdit(Encoding.ASCII.GetBytes(option.Header.Key.ToLowerInvariant()), GrpcMessages.ValueOf(option.Header), null,
            ActionOf(option)))];

    // The status has its own field.
    private static List<HeaderEdit> ForClient(RepeatedField<HeaderValueOption> options) => [.. Edits(options).Where(edit => edit.Name[0] != ':')];

    // Unlike elsewhere, an authorizer that does not say otherwise replaces.
    private static EditAction ActionOf(HeaderValueOption option) => option switch
    {
        { Append: true } => EditAction.Append,
        { AppendAction: HeaderValueOption.Types.HeaderAppendAction.AddIfAbsent } => EditAction.AddIfAbsent,
        { AppendAction: HeaderValueOption.Types.HeaderAppendAction.OverwriteIfExists } => EditAction.OverwriteIfExists,
        _ => EditAction.Overwrite,
    };

    private static JsonObject? Metadata(Struct? values) => values is null ? null : JsonNode.Parse(WireTypes.Json.Format(values)) as JsonObject;
}
