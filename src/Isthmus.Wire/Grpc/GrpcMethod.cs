using Google.Protobuf;

namespace Isthmus.Wire.Grpc;

/// <summary>One remote method: its name and how to parse its messages.</summary>
/// <param name="Service">The full service name, for example <c>istio.v1.auth.IstioCertificateService</c>.</param>
public sealed record GrpcMethod<TRequest, TResponse>(
    string Service, string Name, MessageParser<TRequest> Requests, MessageParser<TResponse> Responses)
    where TRequest : class, IMessage<TRequest>
    where TResponse : class, IMessage<TResponse>
{
    /// <summary>The HTTP path of the method.</summary>
    public string Path { get; } = $"/{Service}/{Name}";
}
