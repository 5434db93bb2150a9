;;; omnirt-calls.el --- What the daemon asks of Emacs  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: Apache-2.0

;;; Commentary:

;; Tools that Emacs carries out for an agent (those of
;; examples/agents/editor.yaml), and whether the user approves of a tool.

;;; Code:

(require 'cl-lib)
(require 'jsonrpc)
(require 'omnirt-transcript)
(require 'seq)

(defgroup omnirt nil
  "Talks with voice agents."
  :group 'applications
  :prefix "omnirt-")

(defcustom omnirt-tools
  '(("read_buffer" . omnirt-tool-read-buffer)
    ("open_file" . omnirt-tool-open-file)
    ("insert_text" . omnirt-tool-insert-text))
  "Functions that carry out tools, by the names that the agent's spec gives.
Each is called with the arguments, a plist, and returns what JSON can say."
  :type '(alist :key-type string :value-type function))

(defvar omnirt-calls--questions nil
  "Approvals that wait for the user: lists of connection, id and params.")
(defvar omnirt-calls--asking nil
  "Whether the user is being asked.")

(defun omnirt-calls-dispatch (connection method params)
  "Give what will answer the call METHOD with PARAMS over CONNECTION."
  (pcase method
    ('tool.call (lambda (id) (omnirt-calls--run connection id params)))
    ('tool.approve
     (lambda (id)
       (setq omnirt-calls--questions
             (append omnirt-calls--questions (list (list connection id params))))
       (omnirt-calls--ask)))
    (_ (jsonrpc-error :code -32601 :message "Unknown call"))))

(defun omnirt-calls--run (connection id params)
  "Carry out the tool of PARAMS, and answer call ID over CONNECTION."
  (let ((tool (cdr (assoc (plist-get params :toolName) omnirt-tools))))
    (condition-case failure
        (jsonrpc-connection-send
         connection :id id
         :result (list :output
                       (if tool (omnirt-calls-clean
                                 (funcall tool (plist-get params :arguments)))
                         (error "This editor has no such tool"))))
      ;; an output that JSON can't say is an error as well
      (error (jsonrpc-connection-send
              connection :id id
              :error (list :code -32603
                           :message (error-message-string failure)))))))

(defun omnirt-calls--ask ()
  "Ask the user about the approvals that wait, one after the other."
  (unless omnirt-calls--asking
    (let ((omnirt-calls--asking t))
      (while omnirt-calls--questions
        (pcase-let* ((`(,connection ,id ,params) (pop omnirt-calls--questions))
                     (yes (condition-case nil
                              (let ((inhibit-quit nil)) ; a timer may not be quit
                                (y-or-n-p (omnirt-calls--question params)))
                            (quit nil)))) ; C-g is a no
          (when (jsonrpc-running-p connection)
            (jsonrpc-connection-send
             connection :id id
             :result (list :decision (if yes "approve" "reject")))))))))

(defun omnirt-calls-withdraw (id)
  "Forget the question of call ID, which is moot."
  (setq omnirt-calls--questions
        (cl-remove id omnirt-calls--questions :key #'cadr :test #'equal)))

(defun omnirt-calls--question (params)
  "What to ask the user about the use of a tool in PARAMS."
  (format "May %s run %s(%s)? " (plist-get params :agent)
          (plist-get params :toolName)
          (omnirt-transcript-json (plist-get params :arguments))))

(defun omnirt-calls--buffer ()
  "Give the buffer where the user works: the last one that is no transcript."
  (seq-find (lambda (buffer)
              (not (or (string-prefix-p " " (buffer-name buffer))
                       (with-current-buffer buffer
                         (derived-mode-p 'omnirt-mode)))))
            (cons (window-buffer) (buffer-list))))

(defun omnirt-calls-clean (value)
  "VALUE, in whose texts what JSON in Emacs can't say is U+FFFD.
That is raw bytes, which may be sent by no one, and NUL, which is not read."
  (cond ((stringp value)
         (replace-regexp-in-string
          (format "[\0%c-%c]" #x3fff80 #x3fffff) "\ufffd"
          (string-to-multibyte value)))
        ((vectorp value) (vconcat (mapcar #'omnirt-calls-clean value)))
        ((proper-list-p value) (mapcar #'omnirt-calls-clean value))
        ((consp value) (cons (omnirt-calls-clean (car value))
                             (omnirt-calls-clean (cdr value))))
        (t value)))

(defun omnirt-tool-read-buffer (_arguments)
  "The tool read_buffer: give path, line and text of the buffer at work."
  (with-current-buffer (omnirt-calls--buffer)
    (list :path (or buffer-file-name (buffer-name))
          :line (line-number-at-pos)
          :text (buffer-substring-no-properties (point-min) (point-max)))))

(defun omnirt-tool-open-file (arguments)
  "The tool open_file: show the file :path of ARGUMENTS at its :line."
  (let ((path (expand-file-name (plist-get arguments :path)))
        (enable-local-variables :safe))
    (unless (file-regular-p path)
      (error "There is no file %s" path))
    (pop-to-buffer (find-file-noselect path))
    (goto-char (point-min))
    (forward-line (1- (or (plist-get arguments :line) 1)))
    (list :path path :lines (count-lines (point-min) (point-max)))))

(defun omnirt-tool-insert-text (arguments)
  "The tool insert_text: put :text of ARGUMENTS below the current line."
  (with-current-buffer (omnirt-calls--buffer)
    (save-excursion
      (forward-line)
      (unless (bolp) (insert "\n"))
      (insert (plist-get arguments :text) "\n"))
    (list :below (line-number-at-pos))))

(provide 'omnirt-calls)
;;; omnirt-calls.el ends here
