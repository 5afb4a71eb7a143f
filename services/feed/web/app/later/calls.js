// The calls of an account's own page and of the pages that letters lead to. No state.

import { call, get } from "../api.js";

export const readEmail = async () => (await get("/v1/me/email")).data;
export const setEmail = async (address, password) => (await call("PUT", "/v1/me/email", { body: { address, password } })).data;
export const changePassword = (current, password) => call("POST", "/v1/me/password", { body: { current, password } });
export const readSessions = async (before) => (await get(`/v1/me/sessions${before ? `?before=${encodeURIComponent(before)}` : ""}`)).data;
export const endSession = (id) => call("DELETE", `/v1/me/sessions/${id}`);
export const endOthers = () => call("DELETE", "/v1/me/sessions");
export const deleteAccount = (password, words) => call("POST", "/v1/me/deletion", { body: { password, words } });
export const confirmEmail = async (token) => (await call("POST", "/v1/email/confirm", { body: { token } })).data;
export const askRecovery = (address) => call("POST", "/v1/password/recovery", { body: { address } });
export const resetPassword = (token, password) => call("POST", "/v1/password/reset", { body: { token, password } });
